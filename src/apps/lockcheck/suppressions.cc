// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/suppressions.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "apps/lockcheck/explain.h"
#include "apps/lockcheck/naming.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// Reads one file line by line.
class Parser {
  public:
    explicit Parser(std::string_view file) : file_(file) {}

    Result<void> line(std::string_view text) {
        ++number_;
        text = trimmed(text);
        if (text.empty() || text.starts_with('#')) return {};
        if (!block_) return open(text);
        if (text == "}") return close();
        if (block_->name.empty()) {
            block_->name = clean_text(text);
            return {};
        }
        if (block_->kind.empty()) return kind(text);
        return pattern(text);
    }
    Result<std::vector<Suppression>> end() {
        if (block_) return expected(fmt::format("}} of the block in line {}", block_->line));
        return std::move(blocks_);
    }

  private:
    std::unexpected<Error> expected(std::string_view what) const {
        return fail(fmt::format("{}:{}: expected {}", file_, number_, what));
    }
    Result<void> open(std::string_view text) {
        if (text != "{") return expected("{ and a block on the lines that follow");
        block_.emplace();
        block_->file = file_;
        block_->line = number_;
        return {};
    }
    Result<void> close() {
        if (block_->name.empty()) return expected("a name for the block");
        if (block_->kind.empty()) return expected("a kind, or *");
        if (block_->frames.empty() && block_->locks.empty() && block_->kind == "*")
            return expected("fun:, obj:, src: or lock:, or a kind: this suppresses everything");
        blocks_.push_back(std::move(*block_));
        block_.reset();
        return {};
    }
    Result<void> kind(std::string_view text) {
        if (text != "*" && kind_words(text) == nullptr)
            return expected(
                "a kind (order, recursive-read, relock, unlock-unheld, destroy-held, "
                "exit-held, held-while-wait, held-while-join, held-while-sleep, "
                "signal, hang), or *");
        block_->kind = text;
        return {};
    }
    Result<void> pattern(std::string_view text) {
        if (text == "...") {
            block_->frames.push_back({FramePattern::Of::any, ""});
            return {};
        }
        const size_t colon = text.find(':');
        const std::string_view word = text.substr(0, colon);
        const std::string_view glob =
            colon == std::string_view::npos ? "" : trimmed(text.substr(colon + 1));
        if (glob.empty()) return expected("fun:GLOB, obj:GLOB, src:GLOB, lock:GLOB, ... or }");
        if (word == "lock")
            block_->locks.emplace_back(glob);
        else if (word == "fun")
            block_->frames.push_back({FramePattern::Of::function, std::string(glob)});
        else if (word == "obj")
            block_->frames.push_back({FramePattern::Of::object, std::string(glob)});
        else if (word == "src")
            block_->frames.push_back({FramePattern::Of::source, std::string(glob)});
        else
            return expected("fun:GLOB, obj:GLOB, src:GLOB, lock:GLOB, ... or }");
        return {};
    }

    std::string file_;
    size_t number_ = 0;
    std::optional<Suppression> block_;
    std::vector<Suppression> blocks_;
};

bool frame_matches(const FramePattern& pattern, const Frame& frame) {
    switch (pattern.of) {
        case FramePattern::Of::function:
            return glob_matches(pattern.glob, frame.function) ||
                   glob_matches(pattern.glob, short_function(frame.function));
        case FramePattern::Of::object:
            return glob_matches(pattern.glob, frame.module) ||
                   glob_matches(pattern.glob, file_name(frame.module));
        case FramePattern::Of::source:
            return glob_matches(pattern.glob, frame.file) ||
                   glob_matches(pattern.glob, file_name(frame.file));
        case FramePattern::Of::any:
            return true;
    }
    return false;
}

/// Whether the patterns are at the beginning of the stack, in their order.
bool stack_matches(std::span<const FramePattern> patterns, const Stack& stack) {
    // For each pattern, at which frames it may begin; kept as one row of flags.
    std::vector<bool> here(stack.size() + 1, false);
    here[0] = true;
    for (const FramePattern& pattern : patterns) {
        std::vector<bool> next(stack.size() + 1, false);
        bool before = false;
        for (size_t at = 0; at <= stack.size(); ++at) {
            before = before || here[at];
            if (pattern.of == FramePattern::Of::any)
                next[at] = before;
            else if (at < stack.size() && here[at] && frame_matches(pattern, stack[at]))
                next[at + 1] = true;
        }
        here.swap(next);
    }
    return std::ranges::find(here, true) != here.end();
}

bool any_stack_matches(std::span<const FramePattern> patterns, const Stack& stack) {
    if (stack.empty()) return false;
    if (stack_matches(patterns, stack)) return true;
    Stack own;
    std::ranges::copy_if(stack, std::back_inserter(own),
                         [](const Frame& frame) { return !frame.library; });
    return own.size() != stack.size() && !own.empty() && stack_matches(patterns, own);
}

bool lock_matches(const std::string& glob, const Lock& lock) {
    return (lock.name && glob_matches(glob, *lock.name)) || glob_matches(glob, describe(lock));
}

}  // namespace

Result<std::vector<Suppression>> parse_suppressions(std::string_view text, std::string_view file) {
    if (text.size() > suppressions_bytes_max)
        return fail(fmt::format("{}: is longer than {} bytes", file, suppressions_bytes_max));
    Parser parser(file);
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (const auto read = parser.line(text.substr(0, end)); !read)
            return std::unexpected(read.error());
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
    return parser.end();
}

bool glob_matches(std::string_view glob, std::string_view text) {
    // The last star, and what of the text it has been taken for: going back further than to the
    // last star cannot help.
    size_t star = std::string_view::npos;
    size_t taken = 0;
    size_t pattern = 0;
    size_t at = 0;
    while (at < text.size()) {
        if (pattern < glob.size() && glob[pattern] == '*') {
            star = pattern++;
            taken = at;
        } else if (pattern < glob.size() && (glob[pattern] == '?' || glob[pattern] == text[at])) {
            ++pattern;
            ++at;
        } else if (star != std::string_view::npos) {
            pattern = star + 1;
            at = ++taken;
        } else {
            return false;
        }
    }
    while (pattern < glob.size() && glob[pattern] == '*') ++pattern;
    return pattern == glob.size();
}

bool matches(const Suppression& suppression, const Finding& finding) {
    if (suppression.kind != "*" && suppression.kind != finding.kind) return false;
    if (!suppression.locks.empty()) {
        const std::vector<Lock> locks = finding.without_also_held().locks;
        for (const std::string& glob : suppression.locks)
            if (std::ranges::none_of(locks,
                                     [&](const Lock& lock) { return lock_matches(glob, lock); }))
                return false;
    }
    if (suppression.frames.empty()) return true;
    return std::ranges::any_of(finding.chains, [&](const Chain& chain) {
        return any_stack_matches(suppression.frames, chain.wants_stack) ||
               any_stack_matches(suppression.frames, chain.holds_stack);
    });
}

void suppress(Document& document, std::span<const Suppression> suppressions) {
    const auto ask = [suppressions](Finding& finding) {
        finding.suppressed_by.reset();
        const auto found = std::ranges::find_if(
            suppressions, [&](const Suppression& each) { return matches(each, finding); });
        if (found != suppressions.end()) finding.suppressed_by = found->name;
    };
    std::ranges::for_each(document.findings, ask);
    std::ranges::for_each(document.notes, ask);
}

std::string suppression_for(const Finding& finding) {
    std::string out =
        fmt::format("{{\n   {}-{}\n   {}\n", finding.kind, finding.number, finding.kind);
    bool precise = false;
    for (const Lock& lock : finding.without_also_held().locks)
        if (lock.name && !lock.name->empty()) {
            out += fmt::format("   lock:{}\n", *lock.name);
            precise = true;
        }
    for (const Chain& chain : finding.chains) {
        const Stack& stack = chain.wants_stack.empty() ? chain.holds_stack : chain.wants_stack;
        size_t written = 0;
        for (const Frame& frame : stack) {
            if (frame.library) continue;
            if (written++ == limits::lockcheck_frames_generated_max) break;
            if (!frame.function.empty())
                out += fmt::format("   fun:{}\n", short_function(frame.function));
            else
                out += fmt::format("   obj:{}\n", frame.module.empty() ? "*" : frame.module);
        }
        if (written > 0) {
            precise = true;
            break;
        }
    }
    // A block of the bare kind would take every finding of it.
    if (!precise) out += "   ...\n";
    return out + "}\n";
}

}  // namespace braidway::lockcheck
