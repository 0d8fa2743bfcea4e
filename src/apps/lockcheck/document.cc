// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace braidway::lockcheck {
namespace {

// Ordered: people read the file, too.
using Json = nlohmann::ordered_json;

/// Reads the fields of one object; keeps the first complaint.
class Reader {
  public:
    explicit Reader(std::string& complaint) : complaint_(complaint) {}

    void complain(const std::string& where, std::string_view expected) {
        if (complaint_.empty())
            complaint_ = fmt::format("document: {}: expected {}", where, expected);
    }
    /// The field `key`, or null when it is not there or null.
    const Json* field(const Json& object, const char* key) const {
        if (!object.is_object()) return nullptr;
        const auto found = object.find(key);
        return found == object.end() || found->is_null() ? nullptr : &*found;
    }
    void text(const Json& object, const char* key, std::string& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        if (!found->is_string()) return complain(key, "a string");
        // Names go to terminals: an escape sequence in one must not.
        into = clean_text(found->get_ref<const std::string&>());
    }
    void text(const Json& object, const char* key, std::optional<std::string>& into) {
        if (field(object, key) == nullptr) return;
        text(object, key, into.emplace());
    }
    void number(const Json& object, const char* key, uint64_t& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        if (!found->is_number_unsigned()) return complain(key, "a number");
        into = found->get<uint64_t>();
    }
    void number(const Json& object, const char* key, std::optional<uint64_t>& into) {
        if (field(object, key) == nullptr) return;
        number(object, key, into.emplace());
    }
    void number(const Json& object, const char* key, int64_t& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        if (!found->is_number_integer()) return complain(key, "a number");
        into = found->get<int64_t>();
    }
    void flag(const Json& object, const char* key, bool& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        if (!found->is_boolean()) return complain(key, "true or false");
        into = found->get<bool>();
    }
    void address(const Json& object, const char* key, uint64_t& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        static constexpr std::string_view expected = "an address as \"0x...\"";
        if (!found->is_string()) return complain(key, expected);
        const std::string& word = found->get_ref<const std::string&>();
        if (!word.starts_with("0x")) return complain(key, expected);
        const auto [end, error] =
            std::from_chars(word.data() + 2, word.data() + word.size(), into, 16);
        if (error != std::errc() || end != word.data() + word.size()) complain(key, expected);
    }
    void address(const Json& object, const char* key, std::optional<uint64_t>& into) {
        if (field(object, key) == nullptr) return;
        address(object, key, into.emplace());
    }
    template <typename Item, typename Read>
    void list(const Json& object, const char* key, std::vector<Item>& into, Read read) {
        const Json* found = field(object, key);
        if (found == nullptr) return;
        if (!found->is_array()) return complain(key, "a list");
        for (const Json& each : *found) into.push_back(read(each));
    }

    Stack stack(const Json& object, const char* key);
    Lock lock(const Json& from);
    Chain chain(const Json& from);
    Finding finding(const Json& from);

  private:
    std::string& complaint_;
};

Stack Reader::stack(const Json& object, const char* key) {
    Stack frames;
    list(object, key, frames, [this](const Json& from) {
        Frame frame;
        if (!from.is_object()) complain("stack", "objects");
        address(from, "address", frame.address);
        text(from, "module", frame.module);
        address(from, "offset", frame.offset);
        text(from, "function", frame.function);
        text(from, "file", frame.file);
        uint64_t line = 0;
        number(from, "line", line);
        frame.line = static_cast<unsigned>(std::min<uint64_t>(line, UINT32_MAX));
        flag(from, "library", frame.library);
        flag(from, "inlined", frame.inlined);
        return frame;
    });
    return frames;
}

Lock Reader::lock(const Json& from) {
    Lock lock;
    if (!from.is_object()) complain("locks", "objects");
    number(from, "index", lock.index);
    address(from, "address", lock.address);
    text(from, "type", lock.type);
    text(from, "name", lock.name);
    text(from, "place", lock.place);
    number(from, "class", lock.lock_class);
    number(from, "offset", lock.offset);
    number(from, "size", lock.size);
    text(from, "module", lock.module);
    address(from, "module_offset", lock.module_offset);
    text(from, "description", lock.description);
    if (const Json* created = field(from, "created"); created != nullptr) {
        if (!created->is_object()) complain("created", "an object");
        lock.created.emplace();
        number(*created, "thread", lock.created->thread);
        lock.created->stack = stack(*created, "stack");
    }
    return lock;
}

Chain Reader::chain(const Json& from) {
    Chain chain;
    if (!from.is_object()) complain("chains", "objects");
    number(from, "thread", chain.thread);
    text(from, "thread_name", chain.thread_name);
    number(from, "holds", chain.holds);
    text(from, "holds_mode", chain.holds_mode);
    chain.holds_stack = stack(from, "holds_stack");
    number(from, "wants", chain.wants);
    text(from, "wants_mode", chain.wants_mode);
    chain.wants_stack = stack(from, "wants_stack");
    return chain;
}

Finding Reader::finding(const Json& from) {
    Finding finding;
    if (!from.is_object()) complain("findings", "objects");
    number(from, "number", finding.number);
    text(from, "kind", finding.kind);
    if (finding.kind.empty()) complain("kind", "a word");
    flag(from, "printed", finding.printed);
    text(from, "message", finding.message);
    text(from, "remark", finding.remark);
    text(from, "suppressed_by", finding.suppressed_by);
    list(from, "locks", finding.locks, [this](const Json& each) { return lock(each); });
    list(from, "chains", finding.chains, [this](const Json& each) { return chain(each); });
    return finding;
}

std::string hexadecimal(uint64_t address) {
    return fmt::format("{:#x}", address);
}

template <typename Value>
Json or_null(const std::optional<Value>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json stack_json(const Stack& stack) {
    Json frames = Json::array();
    for (const Frame& frame : stack) {
        Json out = {{"address", hexadecimal(frame.address)}};
        if (!frame.module.empty()) out["module"] = frame.module;
        if (frame.offset) out["offset"] = hexadecimal(*frame.offset);
        if (!frame.function.empty()) out["function"] = frame.function;
        if (!frame.file.empty()) out["file"] = frame.file;
        if (frame.line != 0) out["line"] = frame.line;
        if (frame.library) out["library"] = true;
        if (frame.inlined) out["inlined"] = true;
        frames.push_back(std::move(out));
    }
    return frames;
}

Json lock_json(const Lock& lock) {
    Json out = {{"index", lock.index}, {"address", hexadecimal(lock.address)},
                {"type", lock.type},   {"name", or_null(lock.name)},
                {"place", lock.place}, {"class", or_null(lock.lock_class)},
                {"created", nullptr}};
    if (lock.created)
        out["created"] = {{"thread", lock.created->thread},
                          {"stack", stack_json(lock.created->stack)}};
    if (lock.offset) out["offset"] = *lock.offset;
    if (lock.size) out["size"] = *lock.size;
    if (!lock.module.empty()) out["module"] = lock.module;
    if (lock.module_offset) out["module_offset"] = hexadecimal(*lock.module_offset);
    if (!lock.description.empty()) out["description"] = lock.description;
    return out;
}

Json chain_json(const Chain& chain) {
    const auto mode = [](const std::string& word) {
        return word.empty() ? Json(nullptr) : Json(word);
    };
    return {{"thread", chain.thread},
            {"thread_name", or_null(chain.thread_name)},
            {"holds", or_null(chain.holds)},
            {"holds_mode", mode(chain.holds_mode)},
            {"holds_stack", stack_json(chain.holds_stack)},
            {"wants", or_null(chain.wants)},
            {"wants_mode", mode(chain.wants_mode)},
            {"wants_stack", stack_json(chain.wants_stack)}};
}

Json findings_json(const std::vector<Finding>& findings) {
    Json out = Json::array();
    for (const Finding& finding : findings) {
        Json locks = Json::array();
        for (const Lock& lock : finding.locks) locks.push_back(lock_json(lock));
        Json chains = Json::array();
        for (const Chain& chain : finding.chains) chains.push_back(chain_json(chain));
        out.push_back({{"number", finding.number},
                       {"kind", finding.kind},
                       {"printed", finding.printed},
                       {"message", finding.message},
                       {"locks", std::move(locks)},
                       {"chains", std::move(chains)},
                       {"suppressed_by", or_null(finding.suppressed_by)}});
        if (!finding.remark.empty()) out.back()["remark"] = finding.remark;
    }
    return out;
}

/// How many bytes the UTF-8 character at the beginning has; 0 when it is none.
size_t character_bytes(std::string_view text) {
    const auto at = [text](size_t index) -> unsigned {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
    };
    const auto continues = [&at](size_t index) { return (at(index) & 0xc0u) == 0x80u; };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        // No longer forms than needed, and no halves of surrogate pairs.
        const bool shortest = first != 0xe0 || at(1) >= 0xa0;
        const bool whole = first != 0xed || at(1) <= 0x9f;
        return shortest && whole && continues(1) && continues(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const bool shortest = first != 0xf0 || at(1) >= 0x90;
        const bool in_range = first != 0xf4 || at(1) <= 0x8f;
        return shortest && in_range && continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

const Lock* Finding::lock(std::optional<uint64_t> index) const {
    if (!index) return nullptr;
    const auto found = std::ranges::find(locks, *index, &Lock::index);
    return found == locks.end() ? nullptr : &*found;
}

Result<Document> read_document(std::string_view text) {
    if (text.size() > document_bytes_max)
        return fail(fmt::format("document: is longer than {} bytes", document_bytes_max));
    const Json root = Json::parse(clean_text(text), nullptr, false);
    if (root.is_discarded()) return fail("document: is not JSON");
    if (!root.is_object()) return fail("document: expected an object");
    std::string complaint;
    Reader reader(complaint);
    uint64_t schema = 0;
    reader.number(root, "lockcheck", schema);
    if (schema != document_schema)
        return fail(fmt::format("document: lockcheck: expected {}, the version of the schema",
                                document_schema));
    Document document;
    reader.text(root, "state", document.state);
    if (const Json* process = reader.field(root, "process"); process != nullptr) {
        Process& into = document.process;
        reader.text(*process, "id", into.id);
        reader.number(*process, "pid", into.pid);
        reader.number(*process, "parent", into.parent);
        reader.text(*process, "program", into.program);
        reader.list(*process, "arguments", into.arguments, [&reader](const Json& each) {
            if (each.is_string()) return each.get<std::string>();
            reader.complain("arguments", "strings");
            return std::string();
        });
    }
    if (document.process.id.empty()) reader.complain("process", "an object with an \"id\"");
    if (reader.field(root, "findings") == nullptr) reader.complain("findings", "a list");
    const auto finding = [&reader](const Json& each) { return reader.finding(each); };
    reader.list(root, "findings", document.findings, finding);
    reader.list(root, "notes", document.notes, finding);
    if (!complaint.empty()) return fail(complaint);
    return document;
}

std::string document_line(const Document& document) {
    const Process& process = document.process;
    const Json out = {{"lockcheck", document_schema},
                      {"state", document.state},
                      {"process",
                       {{"id", process.id},
                        {"pid", process.pid},
                        {"parent", process.parent},
                        {"program", process.program},
                        {"arguments", process.arguments}}},
                      {"findings", findings_json(document.findings)},
                      {"notes", findings_json(document.notes)}};
    return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string clean_text(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    while (!text.empty()) {
        const size_t bytes = character_bytes(text);
        if (bytes == 0)
            clean += "\xef\xbf\xbd";
        else if (bytes == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f))
            clean += ' ';
        else
            clean += text.substr(0, bytes);
        text.remove_prefix(std::max<size_t>(bytes, 1));
    }
    return clean;
}

}  // namespace braidway::lockcheck
