// SPDX-License-Identifier: Apache-2.0
#include "export/nbd_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>

namespace braidway::exports {

uint64_t NbdExportCounters::requests_total() const {
    return std::accumulate(requests.begin(), requests.end(), uint64_t{0});
}

Result<void> NbdExport::complete(NbdExportOptions& options, size_t pool_bytes) {
    const auto bad = [](std::string what) { return fail(std::move(what)); };
    CHECK(options.device != nullptr, "an export has a device");
    const uint32_t block = options.device->geometry().block_bytes;
    if (options.name.empty() || options.name.size() > limits::name_bytes_max)
        return bad(fmt::format("a name has 1 to {} bytes", limits::name_bytes_max));
    if (options.description.size() > limits::nbd_string_bytes_max)
        return bad(fmt::format("description: at most {} bytes", limits::nbd_string_bytes_max));
    if (options.minimum_block == 0) options.minimum_block = block;
    if (!std::has_single_bit(options.minimum_block) || options.minimum_block < block ||
        options.minimum_block > limits::nbd_minimum_block_max)
        return bad(
            fmt::format("minimum_block is {}: expected a power of two from {} (the map's "
                        "block size) to {}",
                        options.minimum_block, block, limits::nbd_minimum_block_max));
    const uint64_t most = std::min<uint64_t>(limits::payload_bytes_max, pool_bytes / 4);
    const uint64_t least = std::max<uint64_t>(options.minimum_block, limits::nbd_payload_min);
    if (options.maximum_payload < least || options.maximum_payload > most)
        return bad(fmt::format("maximum_payload is {}: expected {} to {}", options.maximum_payload,
                               least, most));
    options.maximum_payload -= options.maximum_payload % options.minimum_block;
    if (options.requests_max == 0 || options.requests_max > limits::volume_requests_max)
        return bad(fmt::format("requests: expected 1 to {}", limits::volume_requests_max));
    if (options.tls != wire::NbdTls::off && options.tls_context == nullptr)
        return bad("tls needs tls_certificates or tls_psk");
    // A buffer is a power of two.
    options.bytes_max =
        std::max<uint64_t>(options.bytes_max, std::bit_ceil(options.maximum_payload));
    return {};
}

NbdExport::NbdExport(uint32_t id, NbdExportOptions options)
    : slots(options.requests_max), id_(id), options_(std::move(options)) {
}

wire::NbdExportInfo NbdExport::info() const {
    const block::Geometry& geometry = options_.device->geometry();
    wire::NbdExportInfo info;
    info.id = id_;
    info.name = options_.name;
    info.description = options_.description;
    info.size_bytes = geometry.size_bytes;
    info.minimum_block = options_.minimum_block;
    info.preferred_block =
        std::clamp(std::bit_ceil(geometry.preferred_bytes), options_.minimum_block,
                   std::bit_floor(options_.maximum_payload));
    info.maximum_payload = options_.maximum_payload;
    info.read_only = options_.read_only || geometry.read_only;
    info.rotational = geometry.rotational;
    info.can_flush = geometry.can_flush;
    info.can_fua = geometry.can_fua;
    info.can_trim = geometry.can_discard;
    info.can_write_zeroes = geometry.can_write_zeroes;
    info.can_fast_zero = geometry.can_fast_zero;
    info.can_cache = true;  // A hint: a device that has no use for it does nothing.
    info.can_multi_conn = options_.multi_conn;
    return info;
}

}  // namespace braidway::exports
