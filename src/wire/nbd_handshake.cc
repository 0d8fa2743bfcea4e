// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_handshake.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace braidway::wire {

using namespace nbd;

namespace {

constexpr std::string_view base_allocation = "base:allocation";
constexpr uint32_t minimum_block_unasked = 512;  ///< Every client copes with sectors.

template <typename T>
void append(std::vector<std::byte>& out, T value) {
    std::byte bytes[sizeof value];
    store_big(bytes, value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

void append(std::vector<std::byte>& out, std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out.insert(out.end(), bytes, bytes + text.size());
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

/// Takes an option's data apart; after the first thing that is not there, `good` is false and all
/// further answers are empty.
class NbdHandshake::Reader {
  public:
    explicit Reader(std::span<const std::byte> data) : data_(data) {}

    template <typename T>
    T number() {
        if (!has(sizeof(T))) return 0;
        const T value = load_big<T>(data_.data());
        data_ = data_.subspan(sizeof(T));
        return value;
    }
    /// A string behind its 32-bit length.
    std::string_view string() {
        const uint32_t length = number<uint32_t>();
        if (length > limits::nbd_string_bytes_max) good_ = false;
        if (!has(length)) return {};
        const std::string_view text = as_text(data_.first(length));
        data_ = data_.subspan(length);
        return text;
    }
    bool good() const { return good_; }
    bool good_to_the_end() const { return good_ && data_.empty(); }

  private:
    bool has(size_t bytes) {
        if (data_.size() < bytes) good_ = false;
        return good_;
    }

    std::span<const std::byte> data_;
    bool good_ = true;
};

void NbdHandshake::greet(std::vector<std::byte>& out) const {
    append(out, init_magic);
    append(out, option_magic);
    append(out, static_cast<uint16_t>(flag_fixed_newstyle | flag_no_zeroes));
}

size_t NbdHandshake::feed(std::span<const std::byte> bytes, std::vector<std::byte>& out) {
    size_t taken = 0;
    while (phase_ < Phase::start_tls && out.size() < output_bytes_soft_max) {
        const size_t wanted = phase_ == Phase::client_flags ? client_flags_bytes
                              : in_option_                  ? option_length_
                                                            : option_header_bytes;
        const size_t missing = wanted - pending_.size();
        const auto piece = bytes.subspan(taken, std::min(missing, bytes.size() - taken));
        pending_.insert(pending_.end(), piece.begin(), piece.end());
        taken += piece.size();
        if (piece.size() < missing) break;
        if (!step(out)) break;
    }
    return taken;
}

void NbdHandshake::tls_started() {
    CHECK(phase_ == Phase::start_tls, "TLS is started when a client has asked for it");
    phase_ = Phase::options;
    encrypted_ = true;
    // Said without encryption, perhaps by somebody else (CVE-2021-3716 of nbdkit).
    structured_ = extended_ = false;
    context_name_.reset();
    session_ = {};
}

/// Handles a complete piece; false when no more is taken in this phase.
bool NbdHandshake::step(std::vector<std::byte>& out) {
    if (phase_ == Phase::client_flags)
        take_client_flags();
    else if (!in_option_)
        in_option_ = take_option_header(out);
    else
        take_option(out);
    return phase_ < Phase::start_tls;
}

void NbdHandshake::take_client_flags() {
    const uint32_t flags = load_big<uint32_t>(pending_.data());
    pending_.clear();
    // A client without fixed newstyle is served as if it had it: it may use EXPORT_NAME.
    if ((flags & ~uint32_t{flag_fixed_newstyle | flag_no_zeroes}) != 0)
        return close("the client's flags are unknown");
    no_zeroes_ = (flags & flag_no_zeroes) != 0;
    phase_ = Phase::options;
}

bool NbdHandshake::take_option_header(std::vector<std::byte>& out) {
    const uint64_t magic = load_big<uint64_t>(pending_.data());
    option_ = load_big<uint32_t>(pending_.data() + 8);
    option_length_ = load_big<uint32_t>(pending_.data() + 12);
    pending_.clear();
    if (magic != option_magic) {
        close("no option begins where one should");
        return false;
    }
    if (option_length_ > limits::nbd_option_bytes_max) {
        if (option_ != opt_export_name) reply(out, rep_err_too_big, "the option is too long");
        close("an option is too long");
        return false;
    }
    pending_.reserve(option_length_);
    return true;
}

void NbdHandshake::take_option(std::vector<std::byte>& out) {
    const std::vector<std::byte> owned = std::move(pending_);
    const std::span<const std::byte> data(owned);
    pending_.clear();
    in_option_ = false;
    ++options_answered_;
    if (needs_tls_first(out)) return;
    switch (option_) {
        case opt_export_name:
            return answer_export_name(data, out);
        case opt_abort:
            reply(out, rep_ack);
            return close({});
        case opt_list:
            return answer_list(data, out);
        case opt_starttls:
            return answer_start_tls(data, out);
        case opt_info:
        case opt_go:
            return answer_info(data, out);
        case opt_structured_reply:
            return answer_structured(data, out);
        case opt_list_meta_context:
        case opt_set_meta_context:
            return answer_meta_context(data, out);
        case opt_extended_headers:
            return answer_extended(data, out);
        default:
            return reply(out, rep_err_unsup, "this option is not known");
    }
}

/// Whether the option was refused because encryption has to come before it.
bool NbdHandshake::needs_tls_first(std::vector<std::byte>& out) {
    if (encrypted_ || directory_.tls() != NbdTls::required) return false;
    if (option_ == opt_starttls || option_ == opt_abort) return false;
    if (option_ == opt_export_name)  // It has no answer for this.
        close("EXPORT_NAME without TLS, which is required here");
    else
        reply(out, rep_err_tls_reqd, "this server requires TLS");
    return true;
}

void NbdHandshake::answer_start_tls(std::span<const std::byte> data, std::vector<std::byte>& out) {
    if (!data.empty()) return reply(out, rep_err_invalid, "STARTTLS takes no data");
    if (encrypted_) return reply(out, rep_err_invalid, "TLS is on already");
    if (directory_.tls() == NbdTls::off)
        return reply(out, rep_err_policy, "TLS is not offered here");
    reply(out, rep_ack);
    phase_ = Phase::start_tls;
}

void NbdHandshake::answer_export_name(std::span<const std::byte> data,
                                      std::vector<std::byte>& out) {
    if (extended_) return close("EXPORT_NAME after extended headers");
    if (data.size() > limits::nbd_string_bytes_max) return close("the export name is too long");
    const std::string_view name = as_text(data);
    const std::optional<NbdExportInfo> info = find(name);
    if (!info) return close("no such export");
    if (info->minimum_block > minimum_block_unasked)
        return close("EXPORT_NAME cannot tell the block size that this export needs");
    enter(*info, name);
    append(out, session_.size_bytes);
    append(out, session_.flags);
    if (!no_zeroes_) out.resize(out.size() + export_name_padding_bytes);
}

void NbdHandshake::answer_list(std::span<const std::byte> data, std::vector<std::byte>& out) {
    if (!data.empty()) return reply(out, rep_err_invalid, "LIST takes no data");
    std::vector<std::byte> entry;
    for (size_t at = 0; at < directory_.count(); ++at) {
        const NbdExportInfo info = directory_.describe(at);
        entry.clear();
        append(entry, static_cast<uint32_t>(info.name.size()));
        append(entry, info.name);
        reply(out, rep_server, entry);
    }
    reply(out, rep_ack);
}

void NbdHandshake::answer_info(std::span<const std::byte> data, std::vector<std::byte>& out) {
    Reader reader(data);
    const std::string_view name = reader.string();
    const uint16_t count = reader.number<uint16_t>();
    unsigned wanted = 1u << info_export;
    for (unsigned at = 0; at < count && reader.good(); ++at) {
        const uint16_t info = reader.number<uint16_t>();
        if (info <= info_block_size) wanted |= 1u << info;
    }
    if (!reader.good_to_the_end()) return reply(out, rep_err_invalid, "the option is malformed");
    const std::optional<NbdExportInfo> info = find(name);
    if (!info) return reply(out, rep_err_unknown, "no such export here");
    const bool sizes_asked = (wanted & (1u << info_block_size)) != 0;
    if (info->minimum_block > minimum_block_unasked && !sizes_asked) {
        send_infos(*info, 1u << info_block_size, out);
        return reply(out, rep_err_block_size_reqd, "ask for the block sizes of this export");
    }
    enter(*info, name);
    send_infos(*info, wanted, out);
    reply(out, rep_ack);
    if (option_ == opt_info) phase_ = Phase::options;
}

void NbdHandshake::send_infos(const NbdExportInfo& info, unsigned wanted,
                              std::vector<std::byte>& out) const {
    std::vector<std::byte> data;
    const auto send = [&] {
        reply(out, rep_info, data);
        data.clear();
    };
    if ((wanted & (1u << info_export)) != 0) {
        append(data, static_cast<uint16_t>(info_export));
        append(data, session_.size_bytes);
        append(data, session_.flags);
        send();
    }
    if ((wanted & (1u << info_name)) != 0) {
        append(data, static_cast<uint16_t>(info_name));
        append(data, info.name);
        send();
    }
    if ((wanted & (1u << info_description)) != 0 && !info.description.empty()) {
        append(data, static_cast<uint16_t>(info_description));
        append(data, info.description.substr(0, limits::nbd_string_bytes_max));
        send();
    }
    if ((wanted & (1u << info_block_size)) != 0) {
        append(data, static_cast<uint16_t>(info_block_size));
        append(data, info.minimum_block);
        append(data, std::max(info.preferred_block, info.minimum_block));
        append(data, info.maximum_payload);
        send();
    }
}

void NbdHandshake::answer_structured(std::span<const std::byte> data, std::vector<std::byte>& out) {
    if (!data.empty()) return reply(out, rep_err_invalid, "STRUCTURED_REPLY takes no data");
    if (extended_)
        return reply(out, rep_err_ext_header_reqd, "extended headers are already negotiated");
    structured_ = true;
    reply(out, rep_ack);
}

void NbdHandshake::answer_extended(std::span<const std::byte> data, std::vector<std::byte>& out) {
    if (!directory_.extended_headers())
        return reply(out, rep_err_unsup, "extended headers are switched off here");
    if (!data.empty()) return reply(out, rep_err_invalid, "EXTENDED_HEADERS takes no data");
    if (extended_) return reply(out, rep_err_invalid, "extended headers are already negotiated");
    structured_ = extended_ = true;
    reply(out, rep_ack);
}

void NbdHandshake::answer_meta_context(std::span<const std::byte> data,
                                       std::vector<std::byte>& out) {
    const bool set = option_ == opt_set_meta_context;
    if (set) context_name_.reset();  // Also a failed SET leaves nothing selected.
    if (!structured_)
        return reply(out, rep_err_invalid, "metadata contexts need structured replies");
    Reader reader(data);
    const std::string_view name = reader.string();
    const uint32_t queries = reader.number<uint32_t>();
    bool selected = !set && queries == 0;
    for (uint32_t at = 0; at < queries && reader.good(); ++at) {
        const std::string_view query = reader.string();
        if (query == base_allocation || (!set && query == "base:")) selected = true;
    }
    if (!reader.good_to_the_end()) return reply(out, rep_err_invalid, "the option is malformed");
    if (!find(name)) return reply(out, rep_err_unknown, "no such export here");
    if (selected) {
        std::vector<std::byte> context;
        append(context, set ? base_allocation_id : uint32_t{0});
        append(context, base_allocation);
        reply(out, rep_meta_context, context);
        if (set) context_name_ = name;
    }
    reply(out, rep_ack);
}

std::optional<NbdExportInfo> NbdHandshake::find(std::string_view name) const {
    const size_t count = directory_.count();
    if (name.empty() && count == 1) return directory_.describe(0);
    for (size_t at = 0; at < count; ++at) {
        const NbdExportInfo info = directory_.describe(at);
        if (info.name == name) return info;
    }
    return std::nullopt;
}

/// Settles the session for `info`; answer_info() takes the phase back when it was only asked.
void NbdHandshake::enter(const NbdExportInfo& info, std::string_view name) {
    session_.export_id = info.id;
    session_.size_bytes = info.size_bytes - info.size_bytes % info.minimum_block;
    session_.minimum_block = info.minimum_block;
    session_.maximum_payload = info.maximum_payload;
    session_.structured = structured_;
    session_.extended = extended_;
    session_.base_allocation = context_name_ && *context_name_ == name;
    session_.flags = flags_for(info, name);
    phase_ = Phase::transmission;
}

uint16_t NbdHandshake::flags_for(const NbdExportInfo& info, std::string_view name) const {
    unsigned flags = has_flags;
    const auto add = [&flags](TransmissionFlag flag, bool when) {
        if (when) flags |= flag;
    };
    const bool writable = !info.read_only;
    add(read_only, info.read_only);
    add(send_flush, info.can_flush);
    add(send_fua, info.can_fua);
    add(rotational, info.rotational);
    add(send_trim, writable && info.can_trim);
    add(send_write_zeroes, writable && info.can_write_zeroes);
    add(send_df, structured_);
    add(can_multi_conn, info.can_multi_conn);
    add(send_cache, info.can_cache);
    add(send_fast_zero, writable && info.can_write_zeroes && info.can_fast_zero);
    add(block_status_payload, extended_ && context_name_ && *context_name_ == name);
    return static_cast<uint16_t>(flags);
}

void NbdHandshake::close(std::string_view reason) {
    close_reason_ = reason;
    phase_ = Phase::closed;
}

void NbdHandshake::reply(std::vector<std::byte>& out, uint32_t type,
                         std::span<const std::byte> data) const {
    append(out, option_reply_magic);
    append(out, option_);
    append(out, type);
    append(out, static_cast<uint32_t>(data.size()));
    out.insert(out.end(), data.begin(), data.end());
}

void NbdHandshake::reply(std::vector<std::byte>& out, uint32_t type, std::string_view text) const {
    reply(out, type, std::as_bytes(std::span(text)));
}

}  // namespace braidway::wire
