// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "daemon/api.h"

namespace braidway::daemon {
namespace {

/// Workers beside those that followers can take.
/// A request that stops arriving half-way gives its worker back after this.
constexpr std::chrono::seconds request_timeout(2);
/// How soon a follower that is gone gives its place back while nothing happens.
constexpr Duration follower_look = std::chrono::seconds(1);

/// The library's server on a socket that we made.
class HttpServer final : public httplib::Server {
  public:
    explicit HttpServer(int listening_fd) { svr_sock_ = listening_fd; }

    /// For a server that never ran: the library closes only what it served.
    void close_unserved() {
        const int fd = svr_sock_.exchange(INVALID_SOCKET);
        if (fd != INVALID_SOCKET) ::close(fd);
    }
};

ApiRequest request_of(const httplib::Request& request) {
    ApiRequest made{request.method, request.path, {}, request.body};
    for (const auto& [key, value] : request.params) made.query.emplace(key, value);
    return made;
}

void send(const ApiReply& reply, httplib::Response& response) {
    response.status = reply.status;
    response.set_content(reply.body, reply.content_type);
}

}  // namespace

class ApiServer::Implementation {
  public:
    Implementation(ApiSocket socket, EventRing& events)
        : socket_(std::move(socket)), events_(events), server_(socket_.take_fd()) {}

    ~Implementation() { stop(); }

    void serve(ControlTarget& target) {
        api_.emplace(target, events_);
        const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
            respond(request_of(request), response);
        };
        server_.Get(".*", answer).Post(".*", answer).Put(".*", answer);
        server_.Delete(".*", answer).Patch(".*", answer);
        // The library reads a body without a length until the client closes; such a request has
        // none.
        server_.set_pre_routing_handler(
            [answer](const httplib::Request& request, httplib::Response& response) {
                if (request.method == "GET" || request.has_header("Content-Length") ||
                    request.has_header("Transfer-Encoding"))
                    return httplib::Server::HandlerResponse::Unhandled;
                answer(request, response);
                return httplib::Server::HandlerResponse::Handled;
            });
        server_.set_payload_max_length(limits::api_request_bytes_max);
        server_.set_keep_alive_timeout(1);
        server_.set_read_timeout(request_timeout);
        server_.set_tcp_nodelay(false);
        server_.set_exception_handler([](const auto&, httplib::Response& response, const auto&) {
            send(error_reply(500, "the request could not be answered"), response);
        });
        server_.set_error_handler([](const auto&, httplib::Response& response) {
            if (response.body.empty())
                send(error_reply(response.status, response.status == 413
                                                      ? "the body is too large"
                                                      : "the request is malformed"),
                     response);
        });
        server_.new_task_queue = [] {
            constexpr size_t workers = limits::event_followers_max + limits::api_command_workers;
            return std::make_unique<httplib::ThreadPool>(workers).release();
        };
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        // stop() does nothing before the server runs.
        while (!server_.is_running()) std::this_thread::yield();
    }

    void stop() {
        end_followers();
        if (thread_.joinable()) {
            server_.stop();
            thread_.join();
        }
        server_.close_unserved();
        ApiSocket gone = std::move(socket_);
    }

    const std::string& path() const { return socket_.path(); }

  private:
    /// Lets followers end their answers properly, as far as their clients still read.
    void end_followers() {
        stopping_ = true;
        events_.wake();
        std::unique_lock lock(followers_mutex_);
        follower_left_.wait_for(lock, follower_look, [this] { return followers_ == 0; });
    }

    bool admit_follower() {
        const std::lock_guard lock(followers_mutex_);
        if (followers_ >= limits::event_followers_max) return false;
        ++followers_;
        return true;
    }

    void follower_gone() {
        {
            const std::lock_guard lock(followers_mutex_);
            --followers_;
        }
        follower_left_.notify_all();
    }

    void respond(const ApiRequest& request, httplib::Response& response) {
        const auto follow = request.query.find("follow");
        const bool follows = request.method == "GET" && request.path == "/v1/events" &&
                             follow != request.query.end() && follow->second != "0";
        if (follows)
            start_following(request, response);
        else
            send(api_->answer(request), response);
    }

    void start_following(const ApiRequest& request, httplib::Response& response) {
        const Result<uint64_t> first = Api::first_event(request);
        if (!first) return send(error_reply(first.error()), response);
        if (!admit_follower())
            return send(error_reply(503, fmt::format("{} others follow the events already, which "
                                                     "is the limit",
                                                     limits::event_followers_max)),
                        response);
        // Who does not say from where wants what comes from now on.
        const uint64_t next = request.query.contains("since") ? *first : events_.next_sequence();
        response.set_chunked_content_provider(
            "application/x-ndjson",
            [this, next = uint64_t{next}](size_t, httplib::DataSink& sink) mutable {
                return follow(next, sink);
            },
            [this](bool) { follower_gone(); });
    }

    /// Sends the next events; false ends the connection.
    bool follow(uint64_t& next, httplib::DataSink& sink) {
        if (stopping_) {
            sink.done();
            return true;
        }
        const EventRing::Batch batch = events_.wait(next, follower_look);
        next = batch.next;
        if (batch.records.empty() && batch.lost == 0) {
            if (batch.closed) sink.done();
            return sink.is_writable();
        }
        const std::string lines = Api::event_lines(batch);
        return sink.write(lines.data(), lines.size());
    }

    ApiSocket socket_;
    EventRing& events_;
    HttpServer server_;
    std::optional<Api> api_;
    std::mutex followers_mutex_;
    std::condition_variable follower_left_;
    size_t followers_ = 0;  // Guarded by followers_mutex_.
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

ApiServer::ApiServer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {
}

ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::open(const ApiConfig& config, EventRing& events) {
    Result<ApiSocket> socket = ApiSocket::open(config);
    if (!socket) return std::unexpected(socket.error());
    return std::make_unique<ApiServer>(
        std::make_unique<Implementation>(std::move(*socket), events));
}

void ApiServer::serve(ControlTarget& target) {
    implementation_->serve(target);
}

void ApiServer::stop() {
    implementation_->stop();
}

const std::string& ApiServer::path() const {
    return implementation_->path();
}

}  // namespace braidway::daemon
