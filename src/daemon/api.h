// SPDX-License-Identifier: Apache-2.0
// The control API without its socket: what is answered to which request.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/control.h"
#include "daemon/event_ring.h"

namespace braidway::daemon {

/// One HTTP request, as far as the API looks at it.
struct ApiRequest {
    std::string method;  ///< "GET", "POST", "PUT".
    std::string path;    ///< "/v1/paths/a1/fail", decoded, without the query.
    std::map<std::string, std::string> query;
    std::string body;
};

/// One HTTP answer.
struct ApiReply {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
};

/// Answers requests from the values of a ControlTarget. docs/braidway.md lists the requests.
///
/// Errors:  JSON {"error": "..."}: 400 a wrong value, 404 an unknown name or page, 405 a wrong
///          method, 409 not now, 500 the daemon failed, 503 the daemon did not answer in time.
/// Threads: any, at the same time.
class Api {
  public:
    Api(ControlTarget& target, const EventRing& events) : target_(target), events_(events) {}

    ApiReply answer(const ApiRequest& request) const;
    /// The number after the one that `?since=N` names; without it the oldest event.
    static Result<uint64_t> first_event(const ApiRequest& request);
    /// The lines of a batch as NDJSON, with {"lost": n} first when events were lost.
    static std::string event_lines(const EventRing::Batch& batch);

  private:
    ApiReply show(const ApiRequest& request, const std::vector<std::string>& words) const;
    ApiReply command(const ApiRequest& request, const std::vector<std::string>& words) const;
    ApiReply all_events(const ApiRequest& request) const;

    ControlTarget& target_;
    const EventRing& events_;
};

/// {"error": message} with the HTTP status that fits `error.code`.
ApiReply error_reply(const Error& error);
ApiReply error_reply(int status, std::string message);

}  // namespace braidway::daemon
