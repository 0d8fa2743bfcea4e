// SPDX-License-Identifier: Apache-2.0
#include "explore/words.h"

#include <fmt/format.h>

#include <iterator>

namespace braidway::explore {
namespace {

// Counters and small flags read best as they are; words with high flag bits do not.
constexpr uint64_t decimal_below = 65'536;

/// The length of the UTF-8 sequence that begins at `text[at]`, or 0 when there is none that a
/// terminal or an XML reader may see.
size_t sequence_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned first = byte(at);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || at + length > text.size()) return 0;
    uint32_t code = first & (0x7fU >> length);
    for (size_t next = 1; next < length; ++next) {
        if ((byte(at + next) & 0xc0U) != 0x80) return 0;
        code = code << 6 | (byte(at + next) & 0x3fU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    const bool control = code < 0xa0;  // The second control set of ISO 6429.
    const bool no_character = (code & 0xfffeU) == 0xfffe;
    // Marks that turn the direction of a line around would make it read as another.
    const bool turns = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return overlong || surrogate || control || no_character || turns || code > 0x10ffff ? 0
                                                                                        : length;
}

bool begins_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80;
}

std::string_view lock_event_words(sync::LockEvent event) {
    switch (event) {
        case sync::LockEvent::asked:
            return "asks for";
        case sync::LockEvent::upgrading:
            return "upgrades";
        case sync::LockEvent::gone:
            return "ends";
        case sync::LockEvent::wanted:
            return "wants";
        case sync::LockEvent::acquired:
            return "acquires";
        case sync::LockEvent::given_up:
            return "gives up waiting for";
        case sync::LockEvent::released:
            return "releases";
    }
    return "";
}

std::string sleep_words(const std::string& word, const Step& step) {
    switch (step.outcome) {
        case sync::FutexOutcome::changed:
            return fmt::format("{}: does not sleep, it is not {}", word, value_words(step.before));
        case sync::FutexOutcome::fault:
            return fmt::format("{}: does not sleep, the word is not there", word);
        case sync::FutexOutcome::timed_out:
            return fmt::format("{}: does not sleep, the deadline has passed", word);
        case sync::FutexOutcome::woken:
        case sync::FutexOutcome::interrupted:
            break;
    }
    return fmt::format("{}: sleeps while {}", word, value_words(step.before));
}

std::string_view return_words(sync::FutexOutcome outcome) {
    switch (outcome) {
        case sync::FutexOutcome::woken:
            return "woken";
        case sync::FutexOutcome::changed:
            return "the word has changed";
        case sync::FutexOutcome::interrupted:
            return "interrupted by a signal";
        case sync::FutexOutcome::timed_out:
            return "the deadline has passed";
        case sync::FutexOutcome::fault:
            return "the word is not there";
    }
    return "";
}

}  // namespace

std::string step_words(const Trace& trace, const Step& step) {
    const std::string word = printable(name_of(trace, step.address));
    switch (step.kind) {
        case StepKind::load:
            return fmt::format("{}: load {}", word, value_words(step.before));
        case StepKind::store:
            return fmt::format("{}: store {}", word, value_words(step.after));
        case StepKind::exchange:
            return fmt::format("{}: exchange {} -> {}", word, value_words(step.before),
                               value_words(step.after));
        case StepKind::failed_cas:
            return fmt::format("{}: compare-exchange fails, it is {}", word,
                               value_words(step.before));
        case StepKind::fence:
            return "fence";
        case StepKind::flush:
            return fmt::format("{}: store {} reaches memory", word, value_words(step.after));
        case StepKind::futex_sleep:
            return sleep_words(word, step);
        case StepKind::futex_return:
            return fmt::format("{}: sleeps no more: {}", word, return_words(step.outcome));
        case StepKind::futex_wake:
            return step.after == 0 ? fmt::format("{}: wakes nobody", word)
                                   : fmt::format("{}: wakes {}", word, value_words(step.after));
        case StepKind::mutex_lock:
            return fmt::format("{}: taken", word);
        case StepKind::mutex_unlock:
            return fmt::format("{}: given back", word);
        case StepKind::spin:
            return step.address == nullptr ? "looks again" : fmt::format("{}: looks again", word);
        case StepKind::choice:
            return fmt::format("chooses {}", value_words(step.after));
        case StepKind::yield:
            return "gives way";
        case StepKind::note:
            return fmt::format("note: {}", printable(step.note));
        case StepKind::lock:
            return fmt::format("{} {}", lock_event_words(step.lock_event),
                               lock_words(trace, step.address, step.lock_mode));
        case StepKind::start:
            return "starts";
        case StepKind::end:
            return "ends";
        case StepKind::killed:
            return "is killed";
    }
    return "";
}

std::string state_words(const Trace& trace, const ThreadState& state) {
    switch (state.at) {
        case ThreadState::At::done:
            return "done";
        case ThreadState::At::runnable:
            return "could go on";
        case ThreadState::At::asleep:
            return fmt::format("asleep on {}", printable(name_of(trace, state.address)));
        case ThreadState::At::spinning:
            return fmt::format("spinning on {}", printable(name_of(trace, state.address)));
        case ThreadState::At::killed:
            return "killed";
    }
    return "";
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t length = sequence_at(text, at);
        if (length > 0) {
            out += text.substr(at, length);
            at += length;
        } else {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}",
                           static_cast<unsigned>(static_cast<unsigned char>(text[at])));
            ++at;
        }
    }
    return out;
}

size_t columns_of(std::string_view text) {
    size_t columns = 0;
    for (const char byte : text) columns += begins_character(byte) ? 1 : 0;
    return columns;
}

std::string_view first_columns(std::string_view text, size_t columns) {
    size_t at = 0;
    for (; at < text.size(); ++at)
        if (begins_character(text[at]) && columns-- == 0) break;
    return text.substr(0, at);
}

std::string_view finding_title(Finding finding) {
    switch (finding) {
        case Finding::nothing:
            return "clean";
        case Finding::failed_check:
            return "FAILED CHECK";
        case Finding::deadlock:
            return "DEADLOCK";
        case Finding::livelock:
            return "LIVELOCK";
        case Finding::endless:
            return "ENDLESS";
    }
    return "";
}

std::string_view coverage_name(Coverage coverage) {
    switch (coverage) {
        case Coverage::exhaustive:
            return "exhaustive";
        case Coverage::bounded:
            return "bounded";
        case Coverage::sampled:
            return "sampled";
    }
    return "";
}

std::string_view mode_name(sync::LockMode mode) {
    switch (mode) {
        case sync::LockMode::exclusive:
            return "exclusive";
        case sync::LockMode::shared:
            return "shared";
        case sync::LockMode::upgrade:
            return "upgrade";
    }
    return "";
}

std::string lock_words(const Trace& trace, const void* lock, sync::LockMode mode) {
    return fmt::format("{} ({})", printable(name_of(trace, lock)), mode_name(mode));
}

std::string thread_name(const Trace& trace, unsigned thread) {
    if (thread < trace.threads.size()) return printable(trace.threads[thread]);
    return fmt::format("thread {}", thread);
}

std::string value_words(uint64_t value) {
    return value < decimal_below ? fmt::format("{}", value) : fmt::format("{:#x}", value);
}

}  // namespace braidway::explore
