// SPDX-License-Identifier: Apache-2.0
#include "daemon/exports.h"

#include <fmt/format.h>

#include <algorithm>

namespace braidway::daemon {
namespace {

exports::NbdExportOptions options_of(const WantedExport& wanted, Volume& volume) {
    const ExportConfig& config = wanted.config;
    exports::NbdExportOptions options;
    options.name = config.name;
    options.description = config.description;
    options.device = &volume.map();
    options.gate = &volume.map().gate();
    options.read_only = config.read_only || volume.map().geometry().read_only;
    // One lane serves all connections of a map, and its flush covers every store that it wrote to.
    options.multi_conn = true;
    options.extended_headers = config.extended_headers;
    options.tls = config.tls;
    options.tls_context = wanted.tls_context;
    options.minimum_block = config.minimum_block.value_or(0);
    if (config.maximum_payload) options.maximum_payload = *config.maximum_payload;
    return options;
}

}  // namespace

Result<TlsContextPointer> open_tls(const ExportConfig& config) {
    if (config.tls == wire::NbdTls::off) return TlsContextPointer();
    auto context = tls::TlsContext::server(config.tls_files);
    if (!context)
        return fail(fmt::format("export {}: {}", config.name, context.error().message),
                    context.error().code);
    return context;
}

Result<WantedExport> open_export(const ExportConfig& config, const std::vector<std::string>& served,
                                 Duration patience) {
    auto context = open_tls(config);
    if (!context) return std::unexpected(context.error());
    WantedExport wanted{.config = config, .listens = {}, .tls_context = std::move(*context)};
    for (const Address& address : config.nbd) {
        exports::NbdListen& listen = wanted.listens.emplace_back();
        listen.address = address;
        if (std::ranges::find(served, address.text()) != served.end()) continue;
        auto sockets = exports::open_nbd_sockets(listen.address, patience);
        if (!sockets)
            return fail(fmt::format("export {}: {}", config.name, sockets.error().message),
                        sockets.error().code);
        listen.sockets = std::move(*sockets);
    }
    return wanted;
}

Exports::Exports(loop::Loop& loop, memory::BufferPool& pool, EventSink& events)
    : events_(events), pool_(pool), server_(loop, pool, *this) {
}

Exports::~Exports() = default;

Result<void> Exports::check(const WantedExport& wanted, Volume& volume) const {
    exports::NbdExportOptions options = options_of(wanted, volume);
    if (auto good = exports::NbdExport::complete(options, pool_.bytes()); !good)
        return fail(fmt::format("export {}: {}", wanted.config.name, good.error().message), EINVAL);
    return {};
}

Result<void> Exports::add(WantedExport wanted, Volume& volume) {
    if (auto added = server_.add_export(options_of(wanted, volume), std::move(wanted.listens));
        !added)
        return fail(fmt::format("export {}: {}", wanted.config.name, added.error().message),
                    added.error().code);
    auto served = std::make_unique<Served>();
    served->config = std::move(wanted.config);
    served->map = &volume.map();
    served_.push_back(std::move(served));
    return {};
}

void Exports::remove(const std::string& name, std::function<void()> then) {
    const auto found = std::ranges::find_if(served_, [&](const auto& served) {
        return served->config.name == name && !served->leaving;
    });
    CHECK(found != served_.end(), "an export that is removed is there");
    Served* leaving = found->get();
    leaving->leaving = true;
    server_.remove_export(name, [this, leaving, then = std::move(then)] {
        std::erase_if(served_, [&](const auto& served) { return served.get() == leaving; });
        if (then) then();
    });
}

bool Exports::uses(const map::MapDevice& map) const {
    return std::ranges::any_of(served_, [&](const auto& served) { return served->map == &map; });
}

void Exports::fill_snapshot(Snapshot& snapshot) const {
    snapshot.connections = server_.connections();
    for (const auto& served : served_) {
        if (served->leaving) continue;
        ExportSnapshot& to = snapshot.exports.emplace_back();
        to.name = served->config.name;
        to.map = served->config.map;
        to.description = served->config.description;
        to.addresses = server_.addresses_of(to.name);
        if (const exports::NbdExport* running = server_.find_export(to.name)) {
            to.read_only = running->options().read_only;
            to.connections = running->connections;
            to.in_flight = running->slots.in_use();
            to.requests = running->counters.requests_total() + running->counters.refused;
            to.errors = running->counters.errors + running->counters.refused;
        }
    }
}

void Exports::stop() {
    server_.shut_down([this] {
        served_.clear();
        stopped_ = true;
    });
}

// --- what the server tells --------------------------------------------------------------------

void Exports::tell(Severity severity, std::string kind, const exports::NbdClient& client,
                   std::string_view reason) {
    EventRecord record;
    record.severity = severity;
    record.kind = std::move(kind);
    record.reason = fmt::format("client {} ({}) at {}{}{}{}{}{}{}", client.id, client.peer,
                                client.address, client.export_name.empty() ? "" : ", export ",
                                client.export_name, client.security.empty() ? "" : ", over ",
                                client.security, reason.empty() ? "" : ": ", reason);
    events_.event(std::move(record));
}

void Exports::client_entered(const exports::NbdClient& client) {
    tell(Severity::info, "client-connected", client, "");
}

void Exports::client_left(const exports::NbdClient& client, std::string_view reason, bool fault) {
    tell(fault ? Severity::warning : Severity::info, fault ? "client-dropped" : "client-left",
         client, reason);
}

void Exports::client_refused(const exports::NbdClient& client, std::string_view reason) {
    tell(Severity::warning, "client-refused", client, reason);
}

void Exports::accept_failed(std::string_view address, int code) {
    EventRecord record;
    record.severity = Severity::warning;
    record.kind = "accept-failed";
    record.reason = fmt::format("{}: {}", address, errno_text(code));
    events_.event(std::move(record));
}

}  // namespace braidway::daemon
