// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/user_window.h"

#include <dlfcn.h>
#include <link.h>

#include <utility>

#include "base/check.h"
#include "sync/address_ranges.h"
#include "sync/fault_fixup.h"

namespace braidway::sync {
namespace {

constinit AddressRanges<user_windows_max> windows;
constinit AddressRanges<user_access_tables_max> tables;

/// What an entry's member points to.
uintptr_t target(const int32_t& distance) {
    return reinterpret_cast<uintptr_t>(&distance) + static_cast<uintptr_t>(intptr_t{distance});
}

/// Makes the library with `address` in it one that is never unloaded. Whether it stays: a program
/// does so by itself.
bool keep_loaded(const void* address) {
    Dl_info info{};
    void* found = nullptr;
    if (dladdr1(address, &info, &found, RTLD_DL_LINKMAP) == 0) return true;  // Linked statically.
    const char* const name = static_cast<const link_map*>(found)->l_name;
    if (name == nullptr || *name == '\0') return true;  // The program has no name here.
    // The handle is for good, so nobody keeps it.
    return dlopen(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

}  // namespace

uintptr_t user_access_fixup(uintptr_t instruction, uintptr_t address) noexcept {
    const auto holds_address = [address](uintptr_t begin, uintptr_t end) {
        return address >= begin && address < end;
    };
    if (!windows.any_of(holds_address)) return 0;
    uintptr_t fixup = 0;
    tables.any_of([&](uintptr_t begin, uintptr_t end) {
        const auto* entry = reinterpret_cast<const UserAccessEntry*>(begin);
        const auto* const last = reinterpret_cast<const UserAccessEntry*>(end);
        for (; entry != last; ++entry) {
            if (entry->fixup == 0) continue;  // The placeholder of a source without accessors.
            if (instruction < target(entry->begin) || instruction >= target(entry->end)) continue;
            fixup = target(entry->fixup);
            return true;
        }
        return false;
    });
    return fixup;
}

std::expected<UserWindow, std::string> UserWindow::add(std::span<const std::byte> range) {
    const auto begin = reinterpret_cast<uintptr_t>(range.data());
    if (begin == 0 || range.empty() || begin + range.size() < begin)
        return std::unexpected("a window over shared memory needs a range of addresses");
    if (!ensure_fault_handlers()) {
        return std::unexpected(
            "the handlers for SIGSEGV and SIGBUS cannot be installed (a debugging tool keeps them, "
            "or others replaced ours too often); use pread() and pwrite() on the file");
    }
    const unsigned slot = windows.add(begin, begin + range.size());
    if (slot == windows.no_slot)
        return std::unexpected("too many windows over shared memory: close some clients");
    return UserWindow(slot);
}

UserWindow::UserWindow(UserWindow&& other) noexcept : slot_(std::exchange(other.slot_, no_slot)) {
}

UserWindow& UserWindow::operator=(UserWindow&& other) noexcept {
    if (this == &other) return *this;
    const unsigned ended = std::exchange(slot_, std::exchange(other.slot_, no_slot));
    if (ended != no_slot) windows.remove(ended);
    return *this;
}

UserWindow::~UserWindow() {
    if (slot_ != no_slot) windows.remove(slot_);
}

bool UserWindow::covers(const void* address, size_t size_bytes) noexcept {
    const auto from = reinterpret_cast<uintptr_t>(address);
    return windows.any_of([=](uintptr_t begin, uintptr_t end) {
        return from >= begin && from <= end && size_bytes <= end - from;
    });
}

UserAccessTable::UserAccessTable(const UserAccessEntry* begin, const UserAccessEntry* end) noexcept
    : slot_(tables.add(reinterpret_cast<uintptr_t>(begin), reinterpret_cast<uintptr_t>(end))),
      stays_(keep_loaded(begin)) {
    CHECK(slot_ != tables.no_slot, "too many libraries with accessors of shared memory");
}

UserAccessTable::~UserAccessTable() {
    if (!stays_) tables.remove(slot_);
}

}  // namespace braidway::sync
