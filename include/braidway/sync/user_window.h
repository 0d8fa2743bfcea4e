// SPDX-License-Identifier: Apache-2.0
// Where a page fault is forgiven: memory that somebody else may take away at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

namespace braidway::sync {

/// The most windows of one process.
inline constexpr unsigned user_windows_max = 1024;

/// The most objects (a program or shared library each) of one process with accessors in them.
inline constexpr unsigned user_access_tables_max = 128;

/// A range of addresses in which the try_...() functions of user_access.h answer `fault` instead of
/// crashing, for as long as this object lives.
///
/// It forgives only faults of those functions, and those only at addresses inside: a stray pointer
/// elsewhere in the program, or passed to them by mistake, still ends it with the same signal at
/// the same address. It owns no memory: end it after the last access and before the range is
/// unmapped, for the address may be given to something else then.
///
/// Shapes:  at most user_windows_max at a time; windows may overlap.
/// Errors:  add() says in one line what is wrong: an empty range, no room, or no signal handlers.
/// Threads: add() and the destructor any; reading the table is lock-free, also for signal handlers.
class UserWindow {
  public:
    /// Opens a window over `range` and calls ensure_fault_handlers().
    static std::expected<UserWindow, std::string> add(std::span<const std::byte> range);

    UserWindow(UserWindow&& other) noexcept;
    /// Ends the window that was here.
    UserWindow& operator=(UserWindow&& other) noexcept;
    ~UserWindow();

    /// Whether all `size_bytes` from `address` on lie in one window of this process.
    static bool covers(const void* address, size_t size_bytes) noexcept;

  private:
    static constexpr unsigned no_slot = UINT32_MAX;

    explicit UserWindow(unsigned slot) : slot_(slot) {}

    unsigned slot_;
};

/// Makes SIGSEGV and SIGBUS come to us first. A fault that is not ours goes on to the handler that
/// was there before, with everything the kernel said about it: its default kills with the same
/// signal, the same address and the core of the very instruction.
///
/// UserWindow::add() calls it. Call it again after a library has installed handlers of its own;
/// ours then goes in front of those. Returns false when the handlers could not be installed, or
/// were replaced so often (8 times) that no place is left to remember the earlier ones.
///
/// Threads: any, but not from a signal handler.
bool ensure_fault_handlers();

/// Unblocks SIGSEGV and SIGBUS in this thread. The kernel kills a process that faults in a thread
/// (or signal handler) which blocks them, whatever handlers there are. Threads that block all
/// signals, as the threads of a server do, call this before they touch a window.
///
/// Threads: acts on the caller's mask only. Async-signal-safe.
void unblock_fault_signals() noexcept;

/// One line of the table of accessors: a fault in [begin, end) goes on at `fixup`. Each member is
/// the distance from its own address to the code.
struct UserAccessEntry {
    int32_t begin;
    int32_t end;
    int32_t fixup;
};

/// Tells the fault handler of the accessors that were inlined into one program or shared library.
/// user_access.h makes the one there has to be.
///
/// The table stays until the process ends, also while exit() destroys objects: other threads run
/// meanwhile, and their faults are forgiven as before. So the library it lies in is never unloaded:
/// dlclose() leaves it where it is, and no handler meets a table that is going.
class UserAccessTable {
  public:
    UserAccessTable(const UserAccessEntry* begin, const UserAccessEntry* end) noexcept;
    UserAccessTable(const UserAccessTable&) = delete;
    UserAccessTable& operator=(const UserAccessTable&) = delete;
    ~UserAccessTable();

  private:
    unsigned slot_;
    bool stays_;  ///< Else the library cannot be kept, and takes its table along.
};

}  // namespace braidway::sync
