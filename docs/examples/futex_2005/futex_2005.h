// SPDX-License-Identifier: Apache-2.0
// The futex and the mmap_sem of Linux in 2005 as a model, and what was proposed against their
// deadlock. docs/deadlock-2005.md tells the story.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/world.h"
#include "braidway/sync/rw_semaphore.h"
#include "braidway/sync/with_user_access.h"

namespace futex_2005 {

namespace explore = braidway::explore;
namespace sync = braidway::sync;

using Semaphore = sync::BasicRwSemaphore<explore::Policy>;
using Word = explore::Policy::Atomic<uint32_t>;

/// What the word of the page says when the page is not in memory.
inline constexpr uint32_t absent = UINT32_MAX;

/// A process's memory: its map, guarded by mmap_sem, and the page in which the futex word lies. To
/// read the word is one step, as it is for the processor: a value, or a page fault.
struct AddressSpace {
    Semaphore& mmap_sem;
    Word& page;
    Word& map_changes;  ///< 1 while a writer changes the map.
};

/// The parts of an address space are objects of the world, so that traces call them by name.
struct Names {
    std::string_view mmap_sem = "mmap_sem";
    std::string_view page = "page";
    std::string_view map = "map";
};
AddressSpace make_space(explore::World& world, uint32_t page, const Names& names = {});

/// What the page fault handler does when the task may hold mmap_sem already.
enum class Cure : uint8_t {
    none,   ///< Takes it once more: Linux before 2.6.11.
    depth,  ///< Each task counts what it holds; held here already is not taken again.
    flag,   ///< Each task knows that it holds some mmap_sem; the handler takes none then.
    spin,   ///< The handler tries, until a try succeeds.
};

/// A task of the kernel: what it holds, and what it does to memory.
class Task {
  public:
    Task(const AddressSpace& own, Cure cure) : own_(own), cure_(cure) {}

    /// Takes and gives back a process's mmap_sem for reading, as everybody has to who wants to be
    /// known as a holder.
    void take(const AddressSpace& space);
    void give(const AddressSpace& space);

    /// Reads the word in its own memory; as often as the page is missing, the page fault handler
    /// runs first.
    uint32_t get_user();

    /// The futex call: finds the futex under mmap_sem, and reads its word.
    void futex_call();

    /// Reads another process's memory and puts what it read straight into its own.
    void copy_from(const AddressSpace& other);

  private:
    void page_fault();
    bool knows_it_holds(const AddressSpace& space) const;

    AddressSpace own_;
    Cure cure_;
    std::array<const Semaphore*, 2> held_{};  ///< In the order of taking. No heap: a thread of the
                                              ///< explorer may end without unwinding.
    size_t held_count_ = 0;
};

/// The page fault handler's work, with the map held still by somebody: finds the page in the map
/// and puts it there.
void walk_map(const AddressSpace& space);

/// The same by somebody who holds nothing: takes mmap_sem for reading meanwhile.
void walk_under_lock(const AddressSpace& space);

/// The cure that the kernel took: under mmap_sem the access fails instead of faulting; the page is
/// brought in with nothing held, and all starts over. False when it gave up.
bool futex_call_with_retry(const AddressSpace& space);

/// mmap() in another thread.
void change_map(const AddressSpace& space);

/// Memory is short: the page goes. Takes no lock, as the kernel's reclaim takes no mmap_sem.
void take_page_away(const AddressSpace& space);

/// One program to explore, and what comes of it.
struct Scenario {
    std::string_view name;
    std::string_view what;  ///< One sentence.
    explore::Options options;
    void (*setup)(explore::World& world);
    explore::Finding expected;
};

/// All of them, in the order of the story.
std::span<const Scenario> scenarios();

/// The one of this name; nullptr when there is none.
const Scenario* find_scenario(std::string_view name);

/// What the program prints for its arguments; the same each time.
std::string output(std::span<const std::string_view> arguments);

}  // namespace futex_2005
