// SPDX-License-Identifier: Apache-2.0
#include "lockdep/conformance/play.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <memory>

#include "lockdep/paged_memory.h"
#include "lockdep/validator.h"

namespace braidway::lockdep::conformance {
namespace {

constexpr unsigned threads_max = 9;

/// What a lock really is while the row is played: who has it.
struct State {
    unsigned writer = 0;  ///< A thread of the row; 0 nobody.
    unsigned depth = 0;
    std::array<unsigned, threads_max + 1> readings{};

    bool is_read() const {
        return std::ranges::any_of(readings, [](unsigned count) { return count > 0; });
    }
};

LockTraits traits_of(Kind kind) {
    LockTraits traits;
    if (kind == Kind::spin) traits.type = LockType::spinlock;
    if (kind == Kind::rwlock || kind == Kind::fair) traits.type = LockType::rwlock;
    traits.fair = kind == Kind::fair;
    traits.recursive = kind == Kind::recursive;
    traits.error_checking = kind == Kind::error_check;
    traits.robust = kind == Kind::robust;
    return traits;
}

constexpr uint64_t bit(int signal) {
    return uint64_t{1} << (signal - 1);
}
constexpr uint64_t hard_bit = bit(SIGUSR1);
constexpr uint64_t soft_bit = bit(SIGUSR2);

class Player {
  public:
    explicit Player(const Row& row) : row_(row), states_(row.objects.size()) {
        validator_.assume_writers(row.assume_writers);
        validator_.signals_handled(hard_bit | soft_bit);
        memory_.resize(row.objects.size());
        for (unsigned thread = 1; thread <= row.threads(); ++thread)
            threads_[thread] = validator_.thread_started(thread == 1 ? 0 : 1);
        for (size_t at = 0; at < row.objects.size(); ++at)
            if (row.objects[at].has_class()) enlist(1, at, true);
    }

    Verdict play() {
        for (const Event& event : row_.events) {
            ++position_;
            world_.stack = {site(), uintptr_t{0x2000}};
            if (!happens(event)) break;
        }
        validator_.process_exits();
        for (unsigned thread = 1; thread <= row_.threads(); ++thread)
            if (!ended_[thread]) validator_.thread_ended(*threads_[thread], true);
        Verdict verdict;
        for (const Finding& finding : world_.findings) verdict.findings.push_back(finding.kind);
        for (const Finding& note : world_.notes) verdict.notes.push_back(note.kind);
        return verdict;
    }

  private:
    struct alignas(64) Memory {
        std::array<std::byte, 64> bytes;
    };

    uintptr_t site() const { return 0x10000 + position_ * 16; }
    const void* address(size_t object) const { return memory_[object].bytes.data(); }

    Lock* enlist(unsigned thread, size_t object, bool initialised) {
        const Object& is = row_.objects[object];
        Making making;
        making.place = is.has_class() ? Place::heap : Place::static_storage;
        making.class_key = is.has_class() ? static_cast<uint64_t>(is.name[0]) << 32 : 0;
        making.initialised = initialised;
        making.thread = threads_[thread]->number();
        return validator_.enlist(*threads_[thread], address(object), 40, traits_of(is.kind),
                                 making);
    }

    /// False: the thread waits for ever, and the row ends here.
    bool happens(const Event& event) {
        Thread& thread = *threads_[event.thread];
        switch (event.verb) {
            case Verb::lock:
                return take(event, {Hold::exclusive, Patience::endless});
            case Verb::read:
                return take(event, {Hold::shared, Patience::endless});
            case Verb::try_lock:
            case Verb::timed_lock:
                return take(event, {Hold::exclusive, Patience::bounded});
            case Verb::try_read:
                return take(event, {Hold::shared, Patience::bounded});
            case Verb::unlock:
                unlock(event);
                break;
            case Verb::init:
                enlist(event.thread, event.object, true);
                states_[event.object] = {};
                break;
            case Verb::destroy:
                validator_.destroyed(thread, address(event.object));
                break;
            case Verb::free:
                validator_.memory_gone(thread, memory_[event.object].bytes.data(),
                                       memory_[event.object].bytes.data() + sizeof(Memory), false);
                break;
            case Verb::end:
                validator_.thread_ended(thread, false);
                ended_[event.thread] = true;
                break;
            default:
                signal(thread, event);
        }
        return true;
    }

    bool take(const Event& event, Access access) {
        Thread& thread = *threads_[event.thread];
        const Kind kind = row_.objects[event.object].kind;
        State& state = states_[event.object];
        const bool again = state.writer == event.thread;
        const bool enters =
            (again && kind == Kind::recursive) ||
            (state.writer == 0 && (access.hold == Hold::shared || !state.is_read()));
        Pending pending;
        if (!thread.wants_known(address(event.object), access, site(), pending)) {
            Lock* lock = validator_.find(address(event.object));
            if (lock == nullptr) lock = enlist(event.thread, event.object, false);
            if (lock == nullptr) return false;
            validator_.wants(thread, *lock, access, site(), pending);
        }
        if (!enters)
            return access.patience == Patience::bounded || (again && kind == Kind::error_check);
        thread.acquired(pending);
        if (access.hold == Hold::shared) {
            ++state.readings[event.thread];
        } else {
            state.writer = event.thread;
            ++state.depth;
        }
        return true;
    }

    void unlock(const Event& event) {
        Thread& thread = *threads_[event.thread];
        if (!thread.release_last(address(event.object)))
            validator_.released(thread, address(event.object), site());
        State& state = states_[event.object];
        unsigned& readings = state.readings[event.thread];
        if (readings > 0)
            --readings;
        else if (state.writer == event.thread && --state.depth == 0)
            state.writer = 0;
    }

    void signal(Thread& thread, const Event& event) {
        const uint64_t mask = event.signal == Signal::hard ? hard_bit | soft_bit : soft_bit;
        switch (event.verb) {
            case Verb::enter:
                validator_.handler_begins(thread, event.signal == Signal::hard ? SIGUSR1 : SIGUSR2);
                validator_.signals_blocked(thread, hard_bit | soft_bit);
                break;
            case Verb::exit:
                validator_.signals_blocked(thread, blocked_);
                validator_.handler_ends(thread);
                break;
            case Verb::off:
                validator_.signals_blocked(thread, blocked_ |= mask);
                break;
            default:
                validator_.signals_blocked(thread, blocked_ &= ~mask);
        }
    }

    const Row& row_;
    TestSurroundings world_;
    Validator validator_{world_};
    std::vector<State> states_;
    std::vector<Memory> memory_;
    std::array<Thread*, threads_max + 1> threads_{};
    std::array<bool, threads_max + 1> ended_{};
    uintptr_t position_ = 0;
    uint64_t blocked_ = 0;
};

}  // namespace

bool Verdict::reported(FindingKind kind) const {
    return std::ranges::find(findings, kind) != findings.end();
}

Verdict play(const Row& row) {
    return std::make_unique<Player>(row)->play();
}

}  // namespace braidway::lockdep::conformance
