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

    /// A list of objects, each read by a function of this class.
    template <typename Item>
    void objects(const Json& object, const char* key, std::vector<Item>& into,
                 Item (Reader::*read)(const Json&)) {
        list(object, key, into, [&](const Json& each) {
            if (!each.is_object()) complain(key, "objects");
            return (this->*read)(each);
        });
    }
    void texts(const Json& object, const char* key, std::vector<std::string>& into) {
        list(object, key, into, [&](const Json& each) {
            if (each.is_string()) return each.get<std::string>();
            complain(key, "strings");
            return std::string();
        });
    }
    /// The stack inside of the object `key`, and that object; null when it is not there.
    const Json* inner_stack(const Json& object, const char* key, Stack& into) {
        const Json* found = field(object, key);
        if (found == nullptr) return nullptr;
        if (!found->is_object()) complain(key, "an object");
        objects(*found, "stack", into, &Reader::frame);
        return found;
    }

    Frame frame(const Json& from);
    Lock lock(const Json& from);
    Chain chain(const Json& from);
    Finding finding(const Json& from);

  private:
    std::string& complaint_;
};

Frame Reader::frame(const Json& from) {
    Frame frame;
    address(from, "address", frame.address);
    text(from, "module", frame.module);
    address(from, "offset", frame.offset);
    text(from, "function", frame.function);
    text(from, "file", frame.file);
    uint64_t line = 0;
    number(from, "line", line);
    frame.line = static_cast<unsigned>(std::min<uint64_t>(line, UINT32_MAX));
    flag(from, "library", frame.library);
    flag(from, "wrapper", frame.wrapper);
    flag(from, "inlined", frame.inlined);
    return frame;
}

Lock Reader::lock(const Json& from) {
    Lock lock;
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
    Stack made;
    if (const Json* created = inner_stack(from, "created", made); created != nullptr) {
        lock.created.emplace().stack = std::move(made);
        number(*created, "thread", lock.created->thread);
    }
    return lock;
}

Chain Reader::chain(const Json& from) {
    Chain chain;
    number(from, "thread", chain.thread);
    text(from, "thread_name", chain.thread_name);
    number(from, "holds", chain.holds);
    text(from, "holds_mode", chain.holds_mode);
    objects(from, "holds_stack", chain.holds_stack, &Reader::frame);
    number(from, "wants", chain.wants);
    text(from, "wants_mode", chain.wants_mode);
    objects(from, "wants_stack", chain.wants_stack, &Reader::frame);
    list(from, "also_held", chain.also_held, [this](const Json& each) {
        if (each.is_number_unsigned()) return each.get<uint64_t>();
        complain("also_held", "numbers");
        return uint64_t{0};
    });
    return chain;
}

Finding Reader::finding(const Json& from) {
    Finding finding;
    number(from, "number", finding.number);
    text(from, "kind", finding.kind);
    if (finding.kind.empty()) complain("kind", "a word");
    flag(from, "printed", finding.printed);
    text(from, "message", finding.message);
    text(from, "remark", finding.remark);
    text(from, "suppressed_by", finding.suppressed_by);
    objects(from, "locks", finding.locks, &Reader::lock);
    objects(from, "chains", finding.chains, &Reader::chain);
    return finding;
}

std::string hexadecimal(uint64_t address) {
    return fmt::format("{:#x}", address);
}

template <typename Value>
Json or_null(const std::optional<Value>& value) {
    return value ? Json(*value) : Json(nullptr);
}

template <typename Item>
Json list_json(const std::vector<Item>& items, Json (*write)(const Item&)) {
    Json out = Json::array();
    for (const Item& item : items) out.push_back(write(item));
    return out;
}

Json frame_json(const Frame& frame) {
    Json out = {{"address", hexadecimal(frame.address)}};
    if (!frame.module.empty()) out["module"] = frame.module;
    if (frame.offset) out["offset"] = hexadecimal(*frame.offset);
    if (!frame.function.empty()) out["function"] = frame.function;
    if (!frame.file.empty()) out["file"] = frame.file;
    if (frame.line != 0) out["line"] = frame.line;
    if (frame.library) out["library"] = true;
    if (frame.wrapper) out["wrapper"] = true;
    if (frame.inlined) out["inlined"] = true;
    return out;
}

Json stack_json(const Stack& stack) {
    return list_json(stack, frame_json);
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
            {"wants_stack", stack_json(chain.wants_stack)},
            {"also_held", chain.also_held}};
}

Json finding_json(const Finding& finding) {
    Json out = {{"number", finding.number},
                {"kind", finding.kind},
                {"printed", finding.printed},
                {"message", finding.message},
                {"locks", list_json(finding.locks, lock_json)},
                {"chains", list_json(finding.chains, chain_json)},
                {"suppressed_by", or_null(finding.suppressed_by)}};
    if (!finding.remark.empty()) out["remark"] = finding.remark;
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

Finding Finding::without_also_held() const {
    Finding less = *this;
    std::erase_if(less.locks, [this](const Lock& lock) {
        const auto is_about = [&lock](const Chain& chain) {
            return chain.holds == lock.index || chain.wants == lock.index;
        };
        const auto is_beside = [&lock](const Chain& chain) {
            return std::ranges::find(chain.also_held, lock.index) != chain.also_held.end();
        };
        return std::ranges::any_of(chains, is_beside) && std::ranges::none_of(chains, is_about);
    });
    for (Chain& chain : less.chains) chain.also_held.clear();
    return less;
}

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
        reader.texts(*process, "arguments", into.arguments);
    }
    if (document.process.id.empty()) reader.complain("process", "an object with an \"id\"");
    if (reader.field(root, "findings") == nullptr) reader.complain("findings", "a list");
    reader.objects(root, "findings", document.findings, &Reader::finding);
    reader.objects(root, "notes", document.notes, &Reader::finding);
    reader.texts(root, "unused_suppressions", document.unused_suppressions);
    if (!complaint.empty()) return fail(complaint);
    return document;
}

std::string document_line(const Document& document) {
    const Process& process = document.process;
    Json out = {{"lockcheck", document_schema},
                {"state", document.state},
                {"process",
                 {{"id", process.id},
                  {"pid", process.pid},
                  {"parent", process.parent},
                  {"program", process.program},
                  {"arguments", process.arguments}}}};
    if (!document.unused_suppressions.empty())
        out["unused_suppressions"] = document.unused_suppressions;
    // The runtime adds to these two: they are the last ones.
    out["findings"] = list_json(document.findings, finding_json);
    out["notes"] = list_json(document.notes, finding_json);
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
