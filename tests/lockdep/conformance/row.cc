// SPDX-License-Identifier: Apache-2.0
#include "lockdep/conformance/row.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace braidway::lockdep::conformance {
namespace {

constexpr std::array<std::pair<std::string_view, Kind>, 8> kinds{
    {{"spin", Kind::spin},
     {"rwlock", Kind::rwlock},
     {"fair", Kind::fair},
     {"mutex", Kind::mutex},
     {"pi", Kind::pi},
     {"recursive", Kind::recursive},
     {"error_check", Kind::error_check},
     {"robust", Kind::robust}}};

constexpr std::array<std::pair<std::string_view, Verb>, 14> verbs{{{"lock", Verb::lock},
                                                                   {"read", Verb::read},
                                                                   {"try", Verb::try_lock},
                                                                   {"try_read", Verb::try_read},
                                                                   {"timed", Verb::timed_lock},
                                                                   {"unlock", Verb::unlock},
                                                                   {"init", Verb::init},
                                                                   {"destroy", Verb::destroy},
                                                                   {"free", Verb::free},
                                                                   {"enter", Verb::enter},
                                                                   {"exit", Verb::exit},
                                                                   {"off", Verb::off},
                                                                   {"on", Verb::on},
                                                                   {"end", Verb::end}}};

[[noreturn]] void unreadable(std::string_view text) {
    std::fprintf(stderr, "a conformance row has \"%.*s\", which means nothing\n",
                 static_cast<int>(text.size()), text.data());
    std::abort();
}

template <typename Words>
auto meaning(const Words& words, std::string_view text) {
    for (const auto& [word, value] : words)
        if (word == text) return value;
    unreadable(text);
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const size_t end = std::min(text.find(at), text.size());
        if (end > 0) parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

uint16_t index_of(const std::vector<Object>& objects, std::string_view name) {
    const auto found = std::ranges::find(objects, name, &Object::name);
    if (found == objects.end()) unreadable(name);
    return static_cast<uint16_t>(found - objects.begin());
}

Event read_event(const Row& row, std::string_view word) {
    const size_t dot = word.find('.');
    if (dot == std::string_view::npos) unreadable(word);
    const std::string_view who = word.substr(0, dot);
    Event event;
    event.verb = meaning(verbs, word.substr(dot + 1));
    if (who == "hard")
        event.signal = Signal::hard;
    else if (who == "soft")
        event.signal = Signal::soft;
    else if (who != "thread")
        event.object = index_of(row.objects, who);
    return event;
}

}  // namespace

unsigned Row::threads() const {
    unsigned most = 1;
    for (const Event& event : events) most = std::max<unsigned>(most, event.thread);
    return most;
}

Row make_row(std::string name, std::string_view locks, std::string_view script,
             std::optional<FindingKind> expected) {
    Row row;
    row.name = std::move(name);
    row.script = script;
    row.expected = expected;
    for (const std::string_view group : split(locks, ',')) {
        const std::vector<std::string_view> words = split(group, ' ');
        const Kind kind = meaning(kinds, words.back());
        for (size_t at = 0; at + 1 < words.size(); ++at)
            row.objects.push_back({std::string(words[at]), kind});
    }
    uint8_t thread = 1;
    for (const std::string_view word : split(script, ' ')) {
        if (word.size() == 2 && word[1] == ':') {
            thread = static_cast<uint8_t>(word[0] - '0');
            continue;
        }
        Event event = read_event(row, word);
        event.thread = thread;
        row.events.push_back(event);
    }
    return row;
}

std::string nested_pairs(std::string_view pairs, std::string_view verb) {
    std::string script;
    for (const std::string_view pair : split(pairs, ' ')) {
        const std::string outer(1, pair[0]);
        const std::string inner(1, pair[1]);
        script.append(outer).append(".").append(verb).append(" ");
        script.append(inner).append(".").append(verb).append(" ");
        script.append(inner).append(".unlock ").append(outer).append(".unlock ");
    }
    return script;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

std::vector<Table> all_tables() {
    return {kernel_table(),   same_class_table(),  liblockdep_table(),   tsan_table(),
            helgrind_table(), parking_lot_table(), kernel_signal_table()};
}

}  // namespace braidway::lockdep::conformance
