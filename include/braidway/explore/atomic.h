// SPDX-License-Identifier: Apache-2.0
// An atomic whose every access the explorer sees and may put off.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "braidway/explore/trace.h"
#include "braidway/sync/futex.h"

namespace braidway::explore {

template <typename T>
class Atomic;

namespace detail {

/// What an operation does to the word at its address.
enum class Change : uint8_t { nothing, set, add, subtract, bit_and, bit_or, bit_xor, compare };

/// One visible operation: announced, put off for as long as the explorer likes, then carried out.
struct Operation {
    StepKind kind = StepKind::load;  ///< As announced; what became of it the trace says.
    Change change = Change::nothing;
    uint8_t size_bytes = 0;
    bool wrote = false;  ///< Out: a compare-exchange found what it expected.
    bool timed = false;  ///< Of futex_sleep: it has a deadline.
    sync::FutexOutcome outcome = sync::FutexOutcome::woken;  ///< Out, of futex_sleep.
    const void* address = nullptr;
    uint64_t operand = 0;   ///< The new value, or how many a futex_wake wakes at most.
    uint64_t expected = 0;  ///< Of a compare-exchange and of futex_sleep.
    uint64_t before = 0;    ///< Out: the value found.
    uint64_t after = 0;     ///< Out: the value left, or how many were woken, or a choice.
    unsigned index = 0;     ///< Out: which of `waits` was woken.
    /// Of a futex_sleep on several words; else empty.
    std::span<const sync::FutexWait<Atomic<uint32_t>>> waits;
};

/// Carries `operation` out: as a visible step inside a thread of an exploration, elsewhere at once.
void perform(Operation& operation);

/// How Policy::spin_turns() answers.
unsigned spin_turns();

/// The thread rests until something that it read since its last rest was written.
void spin_wait();

/// A lock tells what happens to it.
void observe(sync::LockEvent event, sync::LockMode mode, const void* lock);

/// A pointer that one may add to.
template <typename T>
concept PointsToObject = std::is_pointer_v<T> && std::is_object_v<std::remove_pointer_t<T>>;

/// What can be counted up and down.
template <typename T>
concept IsCounted = PointsToObject<T> || (std::is_integral_v<T> && !std::is_same_v<T, bool>);

}  // namespace detail

/// A value that threads of an exploration share, with the interface of std::atomic. Memory orders
/// are taken and not looked at: see Options::memory. Outside the threads of an exploration, as in
/// setup() and finally(), it is a plain value. wait() and notify are not there: locks sleep with
/// Policy::futex_wait().
///
/// Shapes:  T is trivially copyable, of 1, 2, 4 or 8 bytes, without padding.
/// Threads: of one exploration.
template <typename T>
class Atomic {
    static_assert(std::is_trivially_copyable_v<T>);
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

  public:
    using value_type = T;  // NOLINT(readability-identifier-naming): as std::atomic
    static constexpr bool is_always_lock_free = true;

    constexpr Atomic() noexcept : value_() {}
    // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic.
    constexpr Atomic(T value) noexcept : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;
    ~Atomic() = default;

    bool is_lock_free() const noexcept { return true; }

    T load(std::memory_order /*order*/ = std::memory_order_seq_cst) const noexcept {
        detail::Operation operation = words(StepKind::load, detail::Change::nothing, 0);
        detail::perform(operation);
        return from_bits(operation.before);
    }
    void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
        // On x86 a sequentially consistent store is an exchange.
        const bool is_strong = order == std::memory_order_seq_cst;
        detail::Operation operation = words(StepKind::store, detail::Change::set, to_bits(value));
        operation.expected = is_strong ? 1 : 0;
        detail::perform(operation);
    }
    T exchange(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept {
        return modify(detail::Change::set, value);
    }

    bool compare_exchange_strong(
        T& expected, T desired, std::memory_order /*success*/ = std::memory_order_seq_cst,
        std::memory_order /*failure*/ = std::memory_order_seq_cst) noexcept {
        detail::Operation operation =
            words(StepKind::exchange, detail::Change::compare, to_bits(desired));
        operation.expected = to_bits(expected);
        detail::perform(operation);
        if (!operation.wrote) expected = from_bits(operation.before);
        return operation.wrote;
    }
    /// Never fails without a reason.
    bool compare_exchange_weak(T& expected, T desired,
                               std::memory_order success = std::memory_order_seq_cst,
                               std::memory_order failure = std::memory_order_seq_cst) noexcept {
        return compare_exchange_strong(expected, desired, success, failure);
    }

    T fetch_add(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return modify(detail::Change::add, value);
    }
    T fetch_sub(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return modify(detail::Change::subtract, value);
    }
    T fetch_and(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return modify(detail::Change::bit_and, value);
    }
    T fetch_or(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return modify(detail::Change::bit_or, value);
    }
    T fetch_xor(T value, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return modify(detail::Change::bit_xor, value);
    }

    T fetch_add(ptrdiff_t count, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(detail::PointsToObject<T>)
    {
        return move_by(detail::Change::add, count);
    }
    T fetch_sub(ptrdiff_t count, std::memory_order /*order*/ = std::memory_order_seq_cst) noexcept
        requires(detail::PointsToObject<T>)
    {
        return move_by(detail::Change::subtract, count);
    }

    // NOLINTNEXTLINE(google-explicit-constructor): as std::atomic.
    operator T() const noexcept { return load(); }
    T operator=(T value) noexcept {  // NOLINT(misc-unconventional-assign-operator): as std::atomic
        store(value);
        return value;
    }
    T operator++() noexcept
        requires(detail::IsCounted<T>)
    {
        return static_cast<T>(fetch_add(1) + 1);
    }
    T operator++(int) noexcept
        requires(detail::IsCounted<T>)
    {
        return fetch_add(1);
    }
    T operator--() noexcept
        requires(detail::IsCounted<T>)
    {
        return static_cast<T>(fetch_sub(1) - 1);
    }
    T operator--(int) noexcept
        requires(detail::IsCounted<T>)
    {
        return fetch_sub(1);
    }
    T operator+=(T value) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return static_cast<T>(fetch_add(value) + value);
    }
    T operator-=(T value) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return static_cast<T>(fetch_sub(value) - value);
    }
    T operator+=(ptrdiff_t count) noexcept
        requires(detail::PointsToObject<T>)
    {
        return fetch_add(count) + count;
    }
    T operator-=(ptrdiff_t count) noexcept
        requires(detail::PointsToObject<T>)
    {
        return fetch_sub(count) - count;
    }
    T operator&=(T value) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return static_cast<T>(fetch_and(value) & value);
    }
    T operator|=(T value) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return static_cast<T>(fetch_or(value) | value);
    }
    T operator^=(T value) noexcept
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    {
        return static_cast<T>(fetch_xor(value) ^ value);
    }

  private:
    static uint64_t to_bits(T value) {
        uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof(T));
        return bits;
    }
    static T from_bits(uint64_t bits) {
        T value;
        std::memcpy(&value, &bits, sizeof(T));
        return value;
    }

    detail::Operation words(StepKind kind, detail::Change change, uint64_t operand) const {
        detail::Operation operation;
        operation.kind = kind;
        operation.change = change;
        operation.size_bytes = sizeof(T);
        operation.address = &value_;
        operation.operand = operand;
        return operation;
    }

    T modify(detail::Change change, T value) {
        detail::Operation operation = words(StepKind::exchange, change, to_bits(value));
        detail::perform(operation);
        return from_bits(operation.before);
    }

    T move_by(detail::Change change, ptrdiff_t count) {
        constexpr uint64_t size_bytes = sizeof(std::remove_pointer_t<T>);
        detail::Operation operation =
            words(StepKind::exchange, change, static_cast<uint64_t>(count) * size_bytes);
        detail::perform(operation);
        return from_bits(operation.before);
    }

    T value_;
};

/// A full fence: what std::atomic_thread_fence(seq_cst) is on the real machine.
inline void fence() {
    detail::Operation operation;
    operation.kind = StepKind::fence;
    detail::perform(operation);
}

}  // namespace braidway::explore
