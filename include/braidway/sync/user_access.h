// SPDX-License-Identifier: Apache-2.0
// Access to memory shared with a process that is not trusted: it fails instead of crashing.
//
// See docs/user-access.md for the rules. In short: open a UserWindow over the mapping; never touch
// it but through these functions; copy what you decide upon once, then look at the copy only; and
// with a lock held, on a fault give the lock up, fault_in(), and start over (with_user_access()).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "braidway/sync/deadline.h"
#include "braidway/sync/futex.h"
#include "braidway/sync/user_machine.h"
#include "braidway/sync/user_window.h"

#if defined(__SANITIZE_THREAD__)
#define BRAIDWAY_USER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BRAIDWAY_USER_TSAN 1
#endif
#endif
#if defined(BRAIDWAY_USER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace braidway::sync {

/// What one access can carry: an integer or an enumeration of 1, 2, 4 or 8 bytes. No bool, for the
/// other side may write a 2; no pointer, for its addresses mean nothing here.
template <typename T>
concept UserWord = ((std::integral<T> && !std::same_as<T, bool>) || std::is_enum_v<T>) &&
                   (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

/// How a compare-and-swap ended.
enum class CasOutcome : uint8_t {
    exchanged,  ///< The word was as expected and is as desired now.
    different,  ///< The word was not as expected; the caller's `expected` says what it was.
    fault,      ///< There is no memory to write to; nothing was changed.
};

/// What was read, or nothing when there was a fault: as std::optional, but made so that g++ keeps
/// it in registers and a load costs what a load costs.
template <UserWord T>
class [[nodiscard]] UserValue {
  public:
    constexpr UserValue() = default;
    constexpr UserValue(T value, bool present) : value_(value), present_(present) {}

    constexpr bool has_value() const { return present_; }
    constexpr explicit operator bool() const { return present_; }
    /// The value; any value when there is none.
    constexpr T operator*() const { return value_; }

    friend constexpr bool operator==(const UserValue& left, std::type_identity_t<T> right) {
        return left.present_ && left.value_ == right;
    }
    friend constexpr bool operator==(const UserValue& left, std::nullopt_t /*nothing*/) {
        return !left.present_;
    }

  private:
    T value_{};
    bool present_ = false;
};

/// Implementation of the functions below: the word as the processor has it.
template <UserWord T>
struct UserWordAccess {
    using Word = std::conditional_t<
        sizeof(T) == 8, uint64_t,
        std::conditional_t<sizeof(T) == 4, uint32_t,
                           std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;

    static bool aligned(const T* word) {
        return reinterpret_cast<uintptr_t>(word) % sizeof(T) == 0;
    }
    static const Word* machine(const T* word) { return reinterpret_cast<const Word*>(word); }
    static Word* machine(T* word) { return reinterpret_cast<Word*>(word); }

    // The instructions are invisible to ThreadSanitizer; these say what they order.
    static void ordered_after([[maybe_unused]] const T* word) {
#if defined(BRAIDWAY_USER_TSAN)
        __tsan_acquire(const_cast<T*>(word));
#endif
    }
    static void ordered_before([[maybe_unused]] const T* word) {
#if defined(BRAIDWAY_USER_TSAN)
        __tsan_release(const_cast<T*>(word));
#endif
    }
};

/// Loads the word at `from`, if it is aligned in one piece, with acquire semantics; nothing on a
/// fault.
///
/// All functions of this file: `from`, `to` and `word` are in a UserWindow (elsewhere a fault
/// crashes as ever). A misaligned word is a fault for what reads and writes in one step and for the
/// futex; a load or store of one may succeed and be torn, so check offsets first. They hold
/// nothing, allocate nothing and never wait for another thread. A page of the window that is there
/// but not mapped yet is mapped by the kernel on the way, and the thread sleeps for as long as that
/// takes: for a page in the page cache not at all, for one in swap as long as the disk. Under a
/// userfaultfd with UFFD_FEATURE_SIGBUS a missing page is a fault at once.
///
/// Threads: any with SIGSEGV and SIGBUS unblocked; async-signal-safe under that condition.
template <UserWord T>
[[nodiscard]] inline UserValue<T> try_load(const T* from) {
    using Of = UserWordAccess<T>;
    typename Of::Word value;
    const bool present = UserMachine::load(Of::machine(from), value);
    Of::ordered_after(from);
    return {static_cast<T>(value), present};
}

/// Stores `value`, if aligned in one piece, with release semantics. False on a fault, also when the
/// memory may only be read. Where a later load must not pass it, use try_exchange().
template <UserWord T>
[[nodiscard]] inline bool try_store(T* to, std::type_identity_t<T> value) {
    using Of = UserWordAccess<T>;
    Of::ordered_before(to);
    return UserMachine::store(Of::machine(to), static_cast<typename Of::Word>(value));
}

/// Puts `desired` where `expected` is; sequentially consistent. Otherwise `expected` becomes what
/// is there. Memory that may only be read is a fault either way.
template <UserWord T>
[[nodiscard]] inline CasOutcome try_cas(T* word, T& expected, std::type_identity_t<T> desired) {
    using Of = UserWordAccess<T>;
    if (!Of::aligned(word)) [[unlikely]]
        return CasOutcome::fault;
    Of::ordered_before(word);
    auto before = static_cast<typename Of::Word>(expected);
    bool exchanged = false;
    if (!UserMachine::compare_exchange(Of::machine(word), before,
                                       static_cast<typename Of::Word>(desired), exchanged))
        [[unlikely]] {
        return CasOutcome::fault;
    }
    Of::ordered_after(word);
    if (exchanged) return CasOutcome::exchanged;
    expected = static_cast<T>(before);
    return CasOutcome::different;
}

/// Puts `value` there and returns what was there; sequentially consistent. Nothing on a fault.
template <UserWord T>
[[nodiscard]] inline UserValue<T> try_exchange(T* word, std::type_identity_t<T> value) {
    using Of = UserWordAccess<T>;
    auto before = static_cast<typename Of::Word>(value);
    if (!Of::aligned(word)) [[unlikely]]
        return {};
    Of::ordered_before(word);
    const bool present = UserMachine::exchange(Of::machine(word), before);
    Of::ordered_after(word);
    return {static_cast<T>(before), present};
}

/// Adds `value` (wrapping round) and returns what was there before; sequentially consistent.
/// Nothing on a fault.
template <UserWord T>
[[nodiscard]] inline UserValue<T> try_fetch_add(T* word, std::type_identity_t<T> value) {
    using Of = UserWordAccess<T>;
    auto before = static_cast<typename Of::Word>(value);
    if (!Of::aligned(word)) [[unlikely]]
        return {};
    Of::ordered_before(word);
    const bool present = UserMachine::fetch_add(Of::machine(word), before);
    Of::ordered_after(word);
    return {static_cast<T>(before), present};
}

/// Copies from shared memory into our own, any alignment. Returns how many bytes were copied: all,
/// or exactly those before the first one that is not there. No order and no atomicity: the other
/// side may write meanwhile, so decide upon the copy, never upon a second look.
///
/// A fault in `to`, which is ours, is a bug and crashes.
[[nodiscard]] size_t try_copy_from(std::span<std::byte> to, const void* from) noexcept;

/// Copies our memory into the shared one; otherwise as try_copy_from(). The bytes before the fault
/// were written.
[[nodiscard]] size_t try_copy_to(void* to, std::span<const std::byte> from) noexcept;

/// A copy of a whole descriptor, made once; nothing on a fault. T has no bool and no pointer: any
/// bytes may come.
template <typename T>
    requires std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T>
[[nodiscard]] inline std::optional<T> try_copy_object(const T* from) {
    T copy;
    if (try_copy_from(std::as_writable_bytes(std::span(&copy, 1)), from) != sizeof(T)) [[unlikely]]
        return std::nullopt;
    return copy;
}

/// Sleeps while the shared word at `word` is `expected`; see futex_wait(), scope process_shared.
/// Memory that is not there is FutexOutcome::fault, and so is a misaligned word. The other side may
/// change or wake the word as it likes: a wake is a hint, and every wait has a deadline.
FutexOutcome try_futex_wait(const uint32_t* word, uint32_t expected, const Deadline& deadline);

/// Wakes at most `count` sleepers of the shared word; how many, or nothing on a fault or for a
/// misaligned word. A count of 0 wakes nobody and does not look whether the word is there.
std::optional<unsigned> try_futex_wake(const uint32_t* word, unsigned count);

}  // namespace braidway::sync
