// SPDX-License-Identifier: Apache-2.0
#include "tidy/scan.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace braidway::tidy {
namespace {

/// Walks over a text once and puts each character into one half.
class Splitter {
  public:
    explicit Splitter(std::string_view text) : text_(text) {
        result_.code.reserve(text.size());
        result_.comments.reserve(text.size());
    }

    SplitText run() {
        while (at_ < text_.size()) {
            if (ahead("//")) {
                while (at_ < text_.size() && text_[at_] != '\n') take(comment);
            } else if (ahead("/*")) {
                take(comment, 2);
                while (at_ < text_.size() && !ahead("*/")) take(comment);
                take(comment, 2);
            } else if (ahead("R\"") && !after_name()) {
                raw_string();
            } else if (text_[at_] == '"') {
                literal('"');
            } else if (text_[at_] == '\'' && !after_digit()) {
                literal('\'');
            } else if (text_[at_] == '#' && at_line_start()) {
                preprocessor_line();
            } else {
                take(code);
            }
        }
        return std::move(result_);
    }

  private:
    enum Half { code, comment, neither };

    bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }
    bool after_name() const { return at_ > 0 && is_name_letter(text_[at_ - 1]); }
    bool after_digit() const {
        return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) != 0;
    }
    bool at_line_start() const {
        const size_t line = text_.rfind('\n', at_);
        const size_t first = line == std::string_view::npos ? 0 : line + 1;
        return trimmed(text_.substr(first, at_ - first)).empty();
    }

    void take(Half half, size_t count = 1) {
        for (; count > 0 && at_ < text_.size(); --count, ++at_) {
            const char letter = text_[at_];
            const bool line_end = letter == '\n';
            result_.code.push_back(line_end || half == code ? letter : ' ');
            result_.comments.push_back(line_end || half == comment ? letter : ' ');
        }
    }

    void literal(char quote) {
        take(code);
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n')
            take(neither, text_[at_] == '\\' ? 2 : 1);
        take(code);
    }

    void raw_string() {
        const size_t open = text_.find('(', at_);
        const std::string end = ")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"";
        const size_t close = text_.find(end, at_);
        take(neither, std::min(close, text_.size()) - at_ + end.size());
    }

    void preprocessor_line() {
        while (at_ < text_.size() && text_[at_] != '\n') {
            if (ahead("//")) {
                while (at_ < text_.size() && text_[at_] != '\n') take(comment);
                return;
            }
            take(neither, ahead("\\\n") ? 2 : 1);
        }
    }

    std::string_view text_;
    size_t at_ = 0;
    SplitText result_;
};

bool has_word(std::string_view text, std::string_view word) {
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const bool begins = at == 0 || !is_name_letter(text[at - 1]);
        const size_t end = at + word.size();
        if (begins && (end == text.size() || !is_name_letter(text[end]))) return true;
    }
    return false;
}

std::string on_one_line(std::string_view text) {
    std::string line;
    for (const char letter : trimmed(text)) {
        const bool blank = letter == ' ' || letter == '\n';
        if (!blank)
            line.push_back(letter);
        else if (line.back() != ' ')
            line.push_back(' ');
    }
    return line;
}

/// Whether `before` ends in the name of a macro that says something about a class: it stands
/// between the keyword and the class's own name, `class CAPABILITY("mutex") Mutex`.
bool ends_in_attribute_macro(std::string_view before) {
    const size_t word = before.find_last_of(" \n") + 1;
    const std::string_view name = before.substr(word);
    const std::string_view keyword = trimmed(before.substr(0, word));
    const bool after_keyword = keyword.ends_with("class") || keyword.ends_with("struct");
    return after_keyword && std::ranges::all_of(name, [](char letter) {
               return letter == '_' || std::isupper(static_cast<unsigned char>(letter)) != 0;
           });
}

/// What the head of a brace says that the brace is.
enum class Scope { name_space, anonymous, type, function, other };

Scope scope_of(std::string_view head) {
    static constexpr std::array<std::string_view, 4> not_calls{"alignas", "decltype", "requires",
                                                               "__attribute__"};
    const auto opens_parameters = [&](size_t at) {
        const std::string_view before = trimmed(head.substr(0, at));
        if (ends_in_attribute_macro(before)) return false;
        return std::ranges::none_of(not_calls,
                                    [&](std::string_view word) { return before.ends_with(word); });
    };
    if (has_word(head, "namespace"))
        return trimmed(head).ends_with("namespace") ? Scope::anonymous : Scope::name_space;
    if (trimmed(head) == "extern \"\"" || trimmed(head) == "extern \" \"") return Scope::name_space;
    size_t parameters = head.find('(');
    while (parameters != std::string_view::npos && !opens_parameters(parameters))
        parameters = head.find('(', head.find(')', parameters));
    const bool keyword = has_word(head, "class") || has_word(head, "struct") ||
                         has_word(head, "union") || has_word(head, "enum");
    if (parameters == std::string_view::npos) return keyword ? Scope::type : Scope::other;
    const std::string_view before = head.substr(0, parameters);
    if (before.find('=') != std::string_view::npos && !has_word(before, "operator"))
        return Scope::other;
    return Scope::function;
}

/// Follows the braces of one text.
class SpanFinder {
  public:
    explicit SpanFinder(std::string_view code) : code_(code) {}

    std::vector<Span> run() {
        for (at_ = 0; at_ < code_.size(); ++at_) {
            const char letter = code_[at_];
            if (letter == '(') ++parentheses_;
            if (letter == ')') --parentheses_;
            if (letter == '{') open();
            if (letter == '}') close();
            if (letter == ';' && parentheses_ == 0) head_ = at_ + 1;
            // `public:` and friends are no part of what follows.
            if (letter == ':' && in_type() && is_label()) head_ = at_ + 1;
        }
        return std::move(spans_);
    }

  private:
    struct Open {
        Scope scope;
        size_t head;
        size_t brace;
        int parentheses;
    };

    bool in_type() const { return !open_.empty() && open_.back().scope == Scope::type; }
    bool is_label() const {
        const std::string_view word = trimmed(code_.substr(head_, at_ - head_));
        return word == "public" || word == "protected" || word == "private";
    }
    bool outside_bodies() const {
        return parentheses_ == 0 && (open_.empty() || (open_.back().scope != Scope::function &&
                                                       open_.back().scope != Scope::other));
    }

    void open() {
        const Scope scope =
            outside_bodies() ? scope_of(code_.substr(head_, at_ - head_)) : Scope::other;
        open_.push_back({scope, head_, at_, parentheses_});
        parentheses_ = 0;
        head_ = at_ + 1;
    }

    void close() {
        if (open_.empty()) return;
        const Open opened = open_.back();
        open_.pop_back();
        parentheses_ = opened.parentheses;
        const size_t next = code_.find_first_not_of(" \n", at_ + 1);
        const char follower = next == std::string_view::npos ? '\0' : code_[next];
        // A braced initializer of a constructor, not its body: the head goes on.
        if (opened.scope == Scope::function && (follower == ',' || follower == '{')) {
            head_ = opened.head;
            return;
        }
        head_ = at_ + 1;
        if (opened.scope == Scope::function || opened.scope == Scope::type) record(opened);
    }

    void record(const Open& opened) {
        const std::string_view head = code_.substr(opened.head, opened.brace - opened.head);
        Span span;
        span.kind = opened.scope == Scope::type ? Span::Kind::type : Span::Kind::function;
        span.head = on_one_line(head);
        span.first_line = line_at(code_, opened.head + head.find_first_not_of(" \n"));
        span.last_line = line_at(code_, at_);
        span.in_type = in_type();
        span.anonymous = std::ranges::any_of(
            open_, [](const Open& outer) { return outer.scope == Scope::anonymous; });
        spans_.push_back(std::move(span));
    }

    std::string_view code_;
    size_t at_ = 0;
    size_t head_ = 0;
    int parentheses_ = 0;
    std::vector<Open> open_;
    std::vector<Span> spans_;
};

}  // namespace

SplitText split(std::string_view text) {
    return Splitter(text).run();
}

std::vector<Span> spans_of(std::string_view code) {
    return SpanFinder(code).run();
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

size_t line_at(std::string_view text, size_t position) {
    return 1 + static_cast<size_t>(std::ranges::count(text.substr(0, position), '\n'));
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

bool is_name_letter(char letter) {
    return letter == '_' || std::isalnum(static_cast<unsigned char>(letter)) != 0;
}

}  // namespace braidway::tidy
