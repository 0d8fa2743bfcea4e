// SPDX-License-Identifier: Apache-2.0
// What a compiler wrote about code and objects (DWARF).
#pragma once

#include <span>
#include <string>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/elf_module.h"

namespace braidway::lockcheck {

/// The functions at `address` of the file, innermost first: those that were inlined, and the one
/// that contains them all. Empty without debug information.
/// Source: DWARF 5, sections 2.17 (ranges), 3.3.8 (inlined subroutines), 6.2 (line numbers).
Stack functions_at(const ElfModule& module, uint64_t address);

/// What lies `offset` bytes into the object of this symbol: "account.lock" or "shards[3].lock" for
/// a lock in a structure. Its type is looked for in the units of the code at `code` addresses: who
/// uses an object knows its type. "" when it is not found there.
std::string member_at(const ElfModule& module, std::span<const uint64_t> code,
                      const std::string& symbol, uint64_t offset);

}  // namespace braidway::lockcheck
