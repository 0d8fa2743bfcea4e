// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/symbols.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "apps/lockcheck/debug_information.h"
#include "apps/lockcheck/naming.h"

namespace braidway::lockcheck {
namespace {

/// Calls `each` with every stack of the finding.
template <typename Each>
void for_stacks(Finding& finding, Each each) {
    for (Chain& chain : finding.chains) {
        each(chain.holds_stack);
        each(chain.wants_stack);
    }
    for (Lock& lock : finding.locks)
        if (lock.created) each(lock.created->stack);
}

/// "lock.0" is how compilers call a static variable of a function.
std::string without_number(const std::string& symbol) {
    const size_t dot = symbol.find_last_of('.');
    if (dot == std::string::npos || dot == 0 || dot + 1 == symbol.size() ||
        symbol.find_first_not_of("0123456789", dot + 1) != std::string::npos)
        return symbol;
    return symbol.substr(0, dot);
}

}  // namespace

void Symbols::resolve(Document& document) {
    const auto note_biases = [this](Stack& stack) {
        for (const Frame& frame : stack)
            if (frame.offset && !frame.module.empty() && frame.address >= *frame.offset)
                biases_.try_emplace(frame.module, frame.address - *frame.offset);
    };
    for (auto* findings : {&document.findings, &document.notes})
        for (Finding& finding : *findings) for_stacks(finding, note_biases);
    for (auto* findings : {&document.findings, &document.notes})
        for (Finding& finding : *findings) resolve(finding);
}

ElfModule& Symbols::module(const std::string& path) {
    std::unique_ptr<ElfModule>& found = modules_[path];
    if (!found) found = std::make_unique<ElfModule>(path);
    return *found;
}

const Stack& Symbols::frames(const std::string& path, uint64_t offset) {
    const auto [place, is_new] = known_.try_emplace({path, offset});
    Stack& frames = place->second;
    if (!is_new) return frames;
    ElfModule& from = module(path);
    if (!from.opened()) return frames;
    // A return address is the one behind the call, which may be of the next line or function.
    const uint64_t address = from.address_of(offset) - 1;
    frames = functions_at(from, address);
    const auto symbol = from.symbol(address);
    if (frames.empty() && symbol) frames.emplace_back();
    // The symbol's name has the parameters that a name without linkage has not.
    if (symbol && !frames.empty() && !frames.back().inlined &&
        (frames.back().function.empty() || frames.back().function.find('(') == std::string::npos))
        frames.back().function = demangled(symbol->name);
    return frames;
}

void Symbols::resolve(Stack& stack) {
    std::erase_if(stack, is_own);
    Stack whole;
    for (Frame& raw : stack) {
        const bool is_raw =
            raw.function.empty() && raw.file.empty() && raw.offset && !raw.module.empty();
        const Stack* named = is_raw ? &frames(raw.module, *raw.offset) : nullptr;
        if (named == nullptr || named->empty()) {
            whole.push_back(std::move(raw));
            continue;
        }
        for (const Frame& frame : *named) {
            Frame& added = whole.emplace_back(frame);
            added.wrapper = raw.wrapper;
            added.address = raw.address;
            added.module = raw.module;
            added.offset = raw.offset;
        }
    }
    mark_libraries(whole);
    stack = std::move(whole);
}

void Symbols::resolve(Finding& finding) {
    for_stacks(finding, [this](Stack& stack) { resolve(stack); });
    for (Lock& lock : finding.locks)
        if (lock.place == "static" && (!lock.name || lock.name->empty()))
            name_static_lock(lock, finding);
}

void Symbols::name_static_lock(Lock& lock, const Finding& finding) {
    if (lock.module.empty() || !lock.module_offset)
        for (const auto& [path, bias] : biases_) {
            if (lock.address < bias) continue;
            ElfModule& from = module(path);
            if (!from.contains(from.address_of(lock.address - bias))) continue;
            lock.module = path;
            lock.module_offset = lock.address - bias;
            break;
        }
    if (lock.module.empty() || !lock.module_offset) return;
    ElfModule& from = module(lock.module);
    const auto symbol = from.symbol(from.address_of(*lock.module_offset));
    if (!symbol) return;
    std::vector<uint64_t> code;
    for (const Chain& chain : finding.chains)
        for (const Stack* stack : {&chain.wants_stack, &chain.holds_stack})
            for (const Frame& frame : *stack)
                if (frame.module == lock.module && frame.offset)
                    code.push_back(from.address_of(*frame.offset) - 1);
    std::string name = member_at(from, code, symbol->name, symbol->offset);
    if (name.empty()) {
        name = demangled(without_number(symbol->name));
        if (symbol->offset != 0) name += fmt::format("+{}", symbol->offset);
    }
    lock.name = name;
}

}  // namespace braidway::lockcheck
