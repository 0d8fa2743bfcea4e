// SPDX-License-Identifier: Apache-2.0
// A fair reader/writer semaphore in shared memory that survives the death of a holder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "braidway/sync/shared_rw_holder.h"

namespace braidway::sync {

/// Why a semaphore was not made, opened or attached to.
struct SharedRwError {
    enum class Fault : uint8_t {
        bad_count,      ///< No slots asked for, or more than shared_rw_slots_max.
        misaligned,     ///< The memory does not begin at a multiple of 64.
        too_small,      ///< The memory has fewer bytes than the table takes.
        no_semaphore,   ///< The memory holds none, or one that is being made.
        other_version,  ///< It holds one of another version, or a damaged one.
        other_place,    ///< Made in another pid or time namespace, or before the machine started.
        full,           ///< Every slot belongs to a living process.
    };
    Fault fault;
    std::string message;  ///< One line: what is wrong, what was expected.
};

/// The lines of SharedRwError.
SharedRwError shared_rw_error(SharedRwError::Fault fault, uint64_t found, uint64_t expected);

/// What a slot of the table says; for those who show it.
struct SharedRwSlotView {
    ProcessIdentity owner = 0;  ///< 0: the slot is free.
    bool is_released = false;  ///< It was taken from its owner, who has not ended or not been seen.
    SlotState state = SlotState::idle;
    uint64_t ticket = 0;  ///< Of its last wait.
};

/// A fair reader/writer semaphore in memory that several processes have mapped, each at its own
/// address: a view of it. The memory outlives every view and every holder.
///
/// Each thread (or task) attaches and gets a holder with the lock's functions. A process that dies
/// holding or waiting, at whatever instruction, blocks nobody: waiters find it out by themselves
/// (SharedRwHolder states the bounds), and a supervisor who knows earlier releases it at once.
///
/// It protects from processes that die, not from those that are stopped while they hold it, and
/// from scribbling only so far: whoever writes nonsense into the memory can make others wait or
/// enter, but neither crash nor loop inside. A process that calls exec() is the same process for
/// the kernel, so what it held stays held until a supervisor calls release().
///
/// Shapes:  a header of 64 bytes and a table of 32 bytes a slot, with one slot more than asked for
///          (1 to 1,024): size_bytes(). No pointers, no addresses. Aligned to 64 bytes.
/// Errors:  SharedRwError.
/// Threads: any.
/// Source:  the slots as the truth behind derived counts are ours; that a robust lock tells the
///          next owner follows EOWNERDEAD of POSIX robust mutexes.
template <typename Policy, typename Processes = SystemProcesses>
class BasicSharedRwSemaphore {
  public:
    using Holder = SharedRwHolder<Policy, Processes>;
    using Table = SharedRwTable<Policy, Processes>;
    using Header = typename Table::Header;
    using Slot = typename Table::Slot;
    using Fault = SharedRwError::Fault;

    /// What a semaphore with so many slots takes.
    static constexpr size_t size_bytes(unsigned slots) {
        return sizeof(Header) + (size_t{slots} + 1) * sizeof(Slot);
    }

    /// Makes a semaphore that nobody holds. Before it returns nobody else uses the memory.
    static std::expected<BasicSharedRwSemaphore, SharedRwError> create(void* memory,
                                                                       size_t memory_bytes,
                                                                       unsigned slots,
                                                                       Processes processes = {}) {
        if (slots == 0 || slots > shared_rw_slots_max) {
            return no(Fault::bad_count, slots, shared_rw_slots_max);
        }
        if (!is_aligned(memory)) return no(Fault::misaligned, 0, alignof(Header));
        if (memory_bytes < size_bytes(slots)) {
            return no(Fault::too_small, memory_bytes, size_bytes(slots));
        }
        Header* const header = std::construct_at(static_cast<Header*>(memory));
        header->slots = slots;
        header->place = processes.place();
        Slot* const table = slots_of(header);
        for (unsigned index = 0; index <= slots; ++index) std::construct_at(table + index);
        header->magic.store(shared_rw_magic, std::memory_order_release);
        return BasicSharedRwSemaphore(Table(header, table, slots, processes));
    }

    /// Opens a semaphore that create() has made, in this process or another.
    static std::expected<BasicSharedRwSemaphore, SharedRwError> open(void* memory,
                                                                     size_t memory_bytes,
                                                                     Processes processes = {}) {
        if (!is_aligned(memory)) return no(Fault::misaligned, 0, alignof(Header));
        if (memory_bytes < size_bytes(1)) {
            return no(Fault::too_small, memory_bytes, size_bytes(1));
        }
        Header* const header = static_cast<Header*>(memory);
        const uint32_t magic = header->magic.load(std::memory_order_acquire);
        if (magic != shared_rw_magic) return no(Fault::no_semaphore, magic, shared_rw_magic);
        if (header->version != shared_rw_version) {
            return no(Fault::other_version, header->version, shared_rw_version);
        }
        if (header->slot_size_bytes != sizeof(Slot)) {
            return no(Fault::other_version, header->slot_size_bytes, sizeof(Slot));
        }
        // Read once: others may change it.
        const unsigned slots = *static_cast<const volatile uint32_t*>(&header->slots);
        if (slots == 0 || slots > shared_rw_slots_max) {
            return no(Fault::bad_count, slots, shared_rw_slots_max);
        }
        if (memory_bytes < size_bytes(slots)) {
            return no(Fault::too_small, memory_bytes, size_bytes(slots));
        }
        const uint64_t here = processes.place();
        if (header->place != here) return no(Fault::other_place, header->place, here);
        return BasicSharedRwSemaphore(Table(header, slots_of(header), slots, processes));
    }

    /// Takes a free slot for this process; where all are taken, those of dead processes.
    std::expected<Holder, SharedRwError> attach() const {
        const ProcessIdentity me = table_.processes().self();
        for (const bool is_first : {true, false}) {
            for (unsigned index = 0; index < table_.count(); ++index) {
                ProcessIdentity expected = 0;
                Slot& slot = table_.slot(index);
                if (table_.owner(index) != 0 ||
                    !slot.owner.compare_exchange_strong(expected, me, std::memory_order_acquire,
                                                        std::memory_order_relaxed)) {
                    continue;
                }
                // As it is already, but for scribbling.
                slot.state.store(0, std::memory_order_relaxed);
                return Holder(table_, index, me);
            }
            if (is_first) release_dead();
        }
        return no(Fault::full, table_.count(), 0);
    }

    /// Releases the slots of all processes that have ended, with what they hold or wait for;
    /// returns how many it was. For a supervisor that has heard of a death, or now and then.
    unsigned release_dead() const {
        return visit([this] {
            return table_.release_where_dead(table_.visitors_slot(), [](unsigned) { return true; });
        });
    }

    /// Releases all slots of the process `pid`. The caller knows that it has ended, or that it will
    /// touch the data no more (after exec(), say). Returns how many it was.
    ///
    /// The slots of a process that lives are free for others when it ends or its holders are
    /// destroyed. A pid that may be in use again by another process that holds the semaphore is
    /// better told by release_owner().
    unsigned release_process(uint64_t pid) const {
        return release_each([pid](ProcessIdentity owner) { return pid_of(owner) == pid; });
    }
    /// The same for one process, whoever has its pid now. A supervisor knows its identity from
    /// slot(), or from the process, which calls SystemProcesses::self().
    unsigned release_owner(ProcessIdentity process) const {
        return release_each([process](ProcessIdentity owner) { return owner == process; });
    }

    /// Releases one slot; see release_process(). False when it is free, was released already, or
    /// there is none.
    bool release(unsigned slot) const {
        if (slot >= table_.count()) return false;
        return visit([this, slot] {
            const ProcessIdentity its = table_.owner(slot);
            if (its == 0) return false;
            const bool has_ended = table_.ended(its);
            if (!has_ended && (its & shared_rw_released) != 0) return false;
            return table_.release(table_.visitors_slot(), slot, its, has_ended).is_its;
        });
    }

    /// Whether a writer has died and nobody has called make_consistent() of a holder since.
    bool inconsistent() const {
        return table_.header().inconsistent.load(std::memory_order_acquire) != 0;
    }

    /// How often somebody died inside the guard and it was put in order.
    uint32_t recoveries() const {
        return table_.header().recoveries.load(std::memory_order_relaxed);
    }

    unsigned slots() const { return table_.count(); }

    /// The slot as it is at the moment; an empty view for one that does not exist.
    SharedRwSlotView slot(unsigned index) const {
        if (index >= table_.count()) return {};
        const ProcessIdentity owner = table_.owner(index);
        return {owner & ~shared_rw_released, (owner & shared_rw_released) != 0, table_.state(index),
                table_.slot(index).ticket.load(std::memory_order_relaxed)};
    }

  private:
    explicit BasicSharedRwSemaphore(const Table& table) : table_(table) {}

    static std::unexpected<SharedRwError> no(Fault fault, uint64_t found, uint64_t expected) {
        return std::unexpected(shared_rw_error(fault, found, expected));
    }

    static bool is_aligned(const void* memory) {
        return reinterpret_cast<uintptr_t>(memory) % alignof(Header) == 0;
    }

    static Slot* slots_of(Header* header) { return reinterpret_cast<Slot*>(header + 1); }

    /// Releases the slots whose owner `is_wanted`; returns how many it was.
    template <typename IsWanted>
    unsigned release_each(IsWanted&& is_wanted) const {
        return visit([this, &is_wanted] {
            unsigned released = 0;
            for (unsigned index = 0; index < table_.count(); ++index) {
                const ProcessIdentity its = table_.owner(index);
                const ProcessIdentity process = its & ~shared_rw_released;
                if (its == 0 || !is_wanted(process)) continue;
                const bool has_ended = table_.ended(its);
                if (its != process && !has_ended) continue;
                const auto done = table_.release(table_.visitors_slot(), index, its, has_ended);
                if (done.is_its) ++released;
                const ProcessIdentity another = done.another & ~shared_rw_released;
                if (another != 0 && is_wanted(another)) ++released;
            }
            return released;
        });
    }

    template <typename Work>
    auto visit(Work&& work) const {
        table_.come_as_visitor(table_.processes().self());
        const auto result = work();
        table_.leave_as_visitor();
        return result;
    }

    Table table_;
};

using SharedRwSemaphore = BasicSharedRwSemaphore<SystemPolicy>;

}  // namespace braidway::sync
