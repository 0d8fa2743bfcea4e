// SPDX-License-Identifier: Apache-2.0
#include "wire/nbd_client_handshake.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/bytes.h"

namespace braidway::wire {

using namespace nbd;

namespace {

constexpr std::string_view base_allocation = "base:allocation";
constexpr uint64_t oldstyle_magic = 0x00420281861253;
constexpr size_t export_name_answer_bytes = 10;
constexpr size_t info_export_bytes = 12;
constexpr size_t info_block_size_bytes = 14;
constexpr size_t quoted_bytes_max = 200;

template <typename T>
void append(std::vector<std::byte>& out, T value) {
    std::byte bytes[sizeof value];
    store_big(bytes, value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

void append_string(std::vector<std::byte>& out, std::string_view text) {
    append(out, static_cast<uint32_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out.insert(out.end(), bytes, bytes + text.size());
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a server or a configuration says, fit for a message of one line.
std::string printable(std::string_view text) {
    std::string shown(text.substr(0, quoted_bytes_max));
    for (char& letter : shown)
        if (letter < 0x20 || letter >= 0x7f) letter = '?';
    return shown;
}

/// " (the server says: no such export)", or nothing.
std::string quoted(std::string_view text) {
    return text.empty() ? "" : fmt::format(" (the server says: {})", printable(text));
}

std::string_view option_name(uint32_t option) {
    switch (option) {
        case opt_export_name:
            return "EXPORT_NAME";
        case opt_starttls:
            return "STARTTLS";
        case opt_go:
            return "GO";
        case opt_structured_reply:
            return "STRUCTURED_REPLY";
        case opt_set_meta_context:
            return "SET_META_CONTEXT";
        default:
            return "an option";
    }
}

bool is_error(uint32_t type) {
    return (type & (1u << 31)) != 0;
}

}  // namespace

NbdClientHandshake::NbdClientHandshake(NbdClientWishes wishes) : wishes_(std::move(wishes)) {
    if (wishes_.export_name.size() > limits::nbd_string_bytes_max)
        fail("the export name is longer than NBD allows");
}

size_t NbdClientHandshake::feed(std::span<const std::byte> bytes, std::vector<std::byte>& out) {
    size_t taken = 0;
    while (!final() && phase_ != Phase::start_tls) {
        const size_t missing = wanted() - pending_.size();
        const auto piece = bytes.subspan(taken, std::min(missing, bytes.size() - taken));
        pending_.insert(pending_.end(), piece.begin(), piece.end());
        taken += piece.size();
        if (piece.size() < missing) break;
        take_piece(out);
    }
    // What came in plain behind the agreement on TLS was put there by somebody on the way.
    if (phase_ == Phase::start_tls && taken < bytes.size())
        fail("the server sent unencrypted bytes behind its agreement to TLS");
    return taken;
}

/// How many bytes the piece has that is being read.
size_t NbdClientHandshake::wanted() const {
    if (phase_ == Phase::greeting) return greeting_bytes;
    if (option_ == opt_export_name)
        return export_name_answer_bytes + (no_zeroes_ ? 0 : export_name_padding_bytes);
    return in_reply_ ? reply_bytes_ : option_reply_bytes;
}

void NbdClientHandshake::take_piece(std::vector<std::byte>& out) {
    if (phase_ == Phase::greeting)
        take_greeting(out);
    else if (option_ == opt_export_name)
        take_export_name_answer();
    else if (!in_reply_)
        take_reply_header();
    else
        take_reply(out);
}

void NbdClientHandshake::take_greeting(std::vector<std::byte>& out) {
    const uint64_t magic = load_big<uint64_t>(pending_.data());
    const uint64_t style = load_big<uint64_t>(pending_.data() + 8);
    const uint16_t flags = load_big<uint16_t>(pending_.data() + 16);
    pending_.clear();
    if (magic != init_magic) return fail("this is no NBD server: it greets with something else");
    if (style == oldstyle_magic)
        return fail("the server speaks the oldstyle protocol, which is not supported");
    if (style != option_magic) return fail("the server's greeting is no NBD greeting");
    fixed_ = (flags & flag_fixed_newstyle) != 0;
    no_zeroes_ = (flags & flag_no_zeroes) != 0;
    append(out, static_cast<uint32_t>(flags & (flag_fixed_newstyle | flag_no_zeroes)));
    phase_ = Phase::options;
    if (!fixed_) {
        // Such a server knows EXPORT_NAME only, and may hang up on everything else.
        if (wishes_.tls) return fail("the server is too old for TLS");
        return send_option(opt_export_name, out);
    }
    next_option(0, out);
}

/// Sends the first option behind `after` in the order of a handshake that is wished for.
void NbdClientHandshake::next_option(uint32_t after, std::vector<std::byte>& out) {
    if (after == 0 && wishes_.tls) return send_option(opt_starttls, out);
    const bool structured_asked = after == opt_structured_reply || after == opt_set_meta_context;
    if (!structured_asked && wishes_.structured) return send_option(opt_structured_reply, out);
    if (after == opt_structured_reply && offer_.session.structured && wishes_.base_allocation)
        return send_option(opt_set_meta_context, out);
    send_option(opt_go, out);
}

void NbdClientHandshake::tls_started(std::vector<std::byte>& out) {
    if (phase_ != Phase::start_tls) return;
    phase_ = Phase::options;
    next_option(opt_starttls, out);
}

void NbdClientHandshake::send_option(uint32_t option, std::vector<std::byte>& out) {
    std::vector<std::byte> data;
    if (option == opt_export_name) {
        const auto name = std::as_bytes(std::span(wishes_.export_name));
        data.assign(name.begin(), name.end());
    } else if (option == opt_set_meta_context) {
        append_string(data, wishes_.export_name);
        append(data, uint32_t{1});
        append_string(data, base_allocation);
    } else if (option == opt_go) {
        append_string(data, wishes_.export_name);
        append(data, uint16_t{1});
        append(data, static_cast<uint16_t>(info_block_size));
    }
    append(out, option_magic);
    append(out, option);
    append(out, static_cast<uint32_t>(data.size()));
    out.insert(out.end(), data.begin(), data.end());
    option_ = option;
    replies_ = 0;
}

void NbdClientHandshake::take_reply_header() {
    const uint64_t magic = load_big<uint64_t>(pending_.data());
    const uint32_t option = load_big<uint32_t>(pending_.data() + 8);
    reply_type_ = load_big<uint32_t>(pending_.data() + 12);
    reply_bytes_ = load_big<uint32_t>(pending_.data() + 16);
    pending_.clear();
    if (magic != option_reply_magic)
        return fail(
            fmt::format("the server's answer to {} does not begin as one", option_name(option_)));
    if (option != option_)
        return fail(fmt::format("the server answers option {} when {} was asked", option,
                                option_name(option_)));
    if (reply_bytes_ > limits::nbd_option_bytes_max)
        return fail(fmt::format("the server's answer to {} is too long ({} bytes)",
                                option_name(option_), reply_bytes_));
    if (++replies_ > replies_max)
        return fail(
            fmt::format("the server does not come to an end with {}", option_name(option_)));
    in_reply_ = true;
}

void NbdClientHandshake::take_reply(std::vector<std::byte>& out) {
    const std::vector<std::byte> owned = std::move(pending_);
    const std::span<const std::byte> data(owned);
    pending_.clear();
    in_reply_ = false;
    if (is_error(reply_type_)) return refused(reply_type_, as_text(data), out);
    if (reply_type_ == rep_info && option_ == opt_go) return take_info(data);
    if (reply_type_ == rep_meta_context && option_ == opt_set_meta_context)
        return take_context(data);
    if (reply_type_ != rep_ack)
        return fail(fmt::format("the server answers {} with type {}, which is none",
                                option_name(option_), reply_type_));
    if (!data.empty())
        return fail(fmt::format("the server's consent to {} carries data", option_name(option_)));
    if (option_ == opt_starttls) {
        phase_ = Phase::start_tls;
        return;
    }
    if (option_ == opt_go) {
        if (!entered_) return fail("the server lets us in without telling the export's size");
        phase_ = Phase::transmission;
        return;
    }
    if (option_ == opt_structured_reply) offer_.session.structured = true;
    next_option(option_, out);
}

/// An option was answered with an error: go on without it, or say why there is no way.
void NbdClientHandshake::refused(uint32_t type, std::string_view text,
                                 std::vector<std::byte>& out) {
    const std::string name = printable(wishes_.export_name);
    if (type == rep_err_shutdown) return fail("the server is shutting down" + quoted(text), true);
    if (type == rep_err_tls_reqd)
        return fail("the server requires TLS; write nbds:// instead of nbd://" + quoted(text));
    if (option_ == opt_starttls)
        return fail(
            "the server offers no TLS; configure it there, or write nbd:// instead of "
            "nbds://" +
            quoted(text));
    if (option_ == opt_structured_reply) return next_option(option_, out);
    if (option_ == opt_set_meta_context) {
        offer_.session.base_allocation = false;
        return next_option(option_, out);
    }
    switch (type) {
        case rep_err_unsup:
            // Infos of a refused GO do not count.
            entered_ = false;
            return send_option(opt_export_name, out);
        case rep_err_unknown:
            return fail(fmt::format("the server has no export '{}'{}", name, quoted(text)));
        case rep_err_policy:
            return fail(fmt::format("the server does not let this client use export '{}'{}", name,
                                    quoted(text)));
        case rep_err_block_size_reqd:
        case rep_err_ext_header_reqd:
            return fail(fmt::format("export '{}' needs more than this client can: error {}{}", name,
                                    type & ~(1u << 31), quoted(text)));
        default:
            return fail(fmt::format("the server refuses export '{}': error {}{}", name,
                                    type & ~(1u << 31), quoted(text)),
                        true);
    }
}

void NbdClientHandshake::take_info(std::span<const std::byte> data) {
    if (data.size() < sizeof(uint16_t)) return fail("the server's information has no type");
    const uint16_t info = load_big<uint16_t>(data.data());
    if (info == info_export) {
        if (data.size() != info_export_bytes)
            return fail("the server tells the export's size in a wrong form");
        enter(load_big<uint64_t>(data.data() + 2), load_big<uint16_t>(data.data() + 10));
    } else if (info == info_block_size) {
        take_block_sizes(data);
    }
    // Names, descriptions, and what later protocols tell are nothing to us.
}

void NbdClientHandshake::take_block_sizes(std::span<const std::byte> data) {
    if (data.size() != info_block_size_bytes)
        return fail("the server tells the block sizes in a wrong form");
    const uint32_t minimum = load_big<uint32_t>(data.data() + 2);
    const uint32_t preferred = load_big<uint32_t>(data.data() + 6);
    const uint32_t maximum = load_big<uint32_t>(data.data() + 10);
    if (!std::has_single_bit(minimum) || minimum > limits::nbd_minimum_block_max ||
        maximum < minimum)
        return fail(fmt::format("the server's block sizes cannot be: minimum {}, maximum {}",
                                minimum, maximum));
    offer_.session.minimum_block = minimum;
    const uint32_t most = std::min(maximum, limits::payload_bytes_max);
    offer_.session.maximum_payload = most - most % minimum;
    if (std::has_single_bit(preferred) && preferred >= minimum) offer_.preferred_block = preferred;
}

void NbdClientHandshake::take_context(std::span<const std::byte> data) {
    if (data.size() < sizeof(uint32_t) || as_text(data.subspan(4)) != base_allocation)
        return fail("the server selects a context that was not asked for");
    offer_.session.base_allocation = true;
    offer_.allocation_id = load_big<uint32_t>(data.data());
}

void NbdClientHandshake::take_export_name_answer() {
    const uint64_t size_bytes = load_big<uint64_t>(pending_.data());
    const uint16_t flags = load_big<uint16_t>(pending_.data() + 8);
    pending_.clear();
    enter(size_bytes, flags);
    if (phase_ != Phase::failed) phase_ = Phase::transmission;
}

void NbdClientHandshake::enter(uint64_t size_bytes, uint16_t flags) {
    if (size_bytes > static_cast<uint64_t>(INT64_MAX))
        return fail(fmt::format("the server says export '{}' has {} bytes, which cannot be",
                                printable(wishes_.export_name), size_bytes));
    offer_.session.size_bytes = size_bytes;
    offer_.session.flags = (flags & has_flags) != 0 ? flags : uint16_t{0};
    entered_ = true;
}

void NbdClientHandshake::closed() {
    if (final()) return;
    if (phase_ == Phase::greeting)
        return fail(
            "the server closed the connection without a word; perhaps it serves no more "
            "clients, or not this one",
            true);
    if (option_ == opt_export_name)
        return fail(fmt::format("the server closed the connection; it has no export '{}', or not "
                                "for this client",
                                printable(wishes_.export_name)),
                    true);
    fail(fmt::format("the server closed the connection at {}", option_name(option_)), true);
}

void NbdClientHandshake::fail(std::string problem, bool may_pass) {
    if (phase_ == Phase::failed) return;
    problem_ = std::move(problem);
    may_pass_ = may_pass;
    phase_ = Phase::failed;
}

}  // namespace braidway::wire
