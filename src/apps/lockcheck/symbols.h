// SPDX-License-Identifier: Apache-2.0
// From addresses to functions, source lines and names of locks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/elf_module.h"

namespace braidway::lockcheck {

/// Names what a raw document has only as addresses. Files are opened when they are first needed.
///
/// Errors:  none: what is not known stays as it was.
/// Threads: one at a time.
class Symbols {
  public:
    /// Fills in every stack of the document (inlined functions become frames of their own,
    /// lockcheck's own frames go, those of libraries are marked), and names the locks in static
    /// objects by their symbols.
    void resolve(Document& document);

  private:
    ElfModule& module(const std::string& path);
    const Stack& frames(const std::string& path, uint64_t offset);
    void resolve(Stack& stack);
    void resolve(Finding& finding);
    void name_static_lock(Lock& lock, const Finding& finding);

    std::map<std::string, std::unique_ptr<ElfModule>> modules_;
    std::map<std::pair<std::string, uint64_t>, Stack> known_;
    std::map<std::string, uint64_t> biases_;  ///< Where the process had each module.
};

}  // namespace braidway::lockcheck
