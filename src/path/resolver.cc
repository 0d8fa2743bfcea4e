// SPDX-License-Identifier: Apache-2.0
#include "path/resolver.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace braidway::path {
namespace {

/// 0 or an error of getaddrinfo(3). `flags` may say that nothing is to be looked up.
int look(const std::string& host, uint16_t port, int flags, std::vector<std::string>& found) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (error != 0) return error;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &::freeaddrinfo);
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
        char name[NI_MAXHOST];
        if (::getnameinfo(each->ai_addr, each->ai_addrlen, name, sizeof name, nullptr, 0,
                          NI_NUMERICHOST) != 0)
            continue;
        std::string text = each->ai_family == AF_INET6 ? fmt::format("[{}]:{}", name, port)
                                                       : fmt::format("{}:{}", name, port);
        if (std::ranges::find(found, text) == found.end()) found.push_back(std::move(text));
    }
    return found.empty() ? EAI_NONAME : 0;
}

}  // namespace

Resolver::Resolver(loop::Loop& loop) : loop_(loop) {
    call_.owner = next_.owner = this;
    call_.work = [](loop::BlockingCall& base) {
        Call& call = static_cast<Call&>(base);
        call.error = look(call.host, call.port, 0, call.found);
    };
    call_.done = [](loop::BlockingCall& call) {
        Resolver& self = *static_cast<Resolver*>(call.owner);
        self.looking_ = false;
        self.looked_up();
    };
    next_.done = [](loop::Operation& operation, int32_t) {
        static_cast<Resolver*>(operation.owner)->looked_up();
    };
}

Resolver::~Resolver() {
    CHECK(quiet(), "a resolver has looked everything up before it goes");
}

void Resolver::resolve(const std::string& host, uint16_t port, Done done) {
    host_ = host;
    port_ = port;
    done_ = std::move(done);
    if (looking_ || !next_.idle()) return;
    look_up();
}

void Resolver::look_up() {
    call_.host = host_;
    call_.port = port_;
    call_.found.clear();
    call_.error = look(host_, port_, AI_NUMERICHOST, call_.found);
    if (call_.error == 0) return loop_.complete_soon(next_, 0);
    looking_ = true;
    loop_.run_blocking(call_);
}

void Resolver::looked_up() {
    if (!done_) return;
    // Meanwhile another name may have been asked for.
    if (call_.host != host_ || call_.port != port_) return look_up();
    const Done done = std::exchange(done_, nullptr);
    if (call_.error == 0) return done(std::move(call_.found));
    done(fail(fmt::format("cannot find host '{}': {}", host_, ::gai_strerror(call_.error)),
              EHOSTUNREACH));
}

}  // namespace braidway::path
