// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/api_client.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ostream>

#include "apps/braidway/places.h"
#include "daemon/api_command.h"
#include "export/nbd_address.h"

namespace braidway::apps {
namespace {

/// Longer than any command of the daemon takes: a reload opens devices.
constexpr std::chrono::seconds answer_timeout(120);
/// A stream of events may be silent for ever.
constexpr std::chrono::hours stream_timeout(24 * 365);

/// 0 when somebody listens there, else an errno value.
int try_socket(const std::string& path) {
    if (!exports::check_socket_path(path)) return ENAMETOOLONG;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    const bool connected =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const int code = connected ? 0 : errno;
    ::close(fd);
    return code;
}

Result<std::string> named_socket(const std::string& path, std::string_view source) {
    const int code = try_socket(path);
    if (code == 0) return path;
    return fail(
        fmt::format("no daemon answers at {} (from {}): {}", path, source, errno_text(code)), code);
}

Result<std::string> usual_socket() {
    std::string tried;
    for (const std::string& place : usual_api_sockets()) {
        const int code = try_socket(place);
        if (code == 0) return place;
        tried += fmt::format("{}{} ({})", tried.empty() ? "" : ", ", place, errno_text(code));
    }
    return fail(fmt::format("no daemon found; tried {}. Start one with `braidway demo` or "
                            "`braidway serve`, or name its socket with --api SOCKET or "
                            "$BRAIDWAY_API",
                            tried),
                ENOTCONN);
}

std::unique_ptr<httplib::Client> connect(const std::string& socket) {
    auto client = std::make_unique<httplib::Client>(socket, 80);
    client->set_address_family(AF_UNIX);
    client->set_read_timeout(answer_timeout);
    client->set_default_headers({{"Host", "braidway"}});
    return client;
}

std::unexpected<Error> broken_off(const std::string& socket, httplib::Error error) {
    return fail(fmt::format("the daemon at {} broke off: {}", socket, httplib::to_string(error)),
                ECONNRESET);
}

}  // namespace

Result<ApiClient> ApiClient::find(const Program& program) {
    const char* environment = std::getenv("BRAIDWAY_API");
    Result<std::string> socket = program.api ? named_socket(*program.api, "--api")
                                 : environment != nullptr && *environment != '\0'
                                     ? named_socket(environment, "BRAIDWAY_API")
                                     : usual_socket();
    if (!socket) return std::unexpected(socket.error());
    return ApiClient(std::move(*socket));
}

Result<ApiAnswer> ApiClient::request(const std::string& method, const std::string& path,
                                     const std::string& body) const {
    const auto client = connect(socket_);
    const httplib::Result result = method == "GET"   ? client->Get(path)
                                   : method == "PUT" ? client->Put(path, body, "application/json")
                                                     : client->Post(path, body, "application/json");
    if (!result) return broken_off(socket_, result.error());
    return ApiAnswer{result->status, result->body};
}

Result<ApiAnswer> ApiClient::stream(const std::string& path,
                                    const std::function<bool(std::string_view line)>& line) const {
    const auto client = connect(socket_);
    client->set_read_timeout(stream_timeout);
    ApiAnswer answer;
    std::string buffer;
    bool wanted = true;
    const httplib::Result result = client->Get(
        path,
        [&](const httplib::Response& response) {
            answer.status = response.status;
            return true;
        },
        [&](const char* data, size_t size) {
            buffer.append(data, size);
            if (answer.status != 200) return true;
            size_t end = 0;
            while (wanted && (end = buffer.find('\n')) != std::string::npos) {
                wanted = line(std::string_view(buffer).substr(0, end));
                buffer.erase(0, end + 1);
            }
            return wanted;
        });
    answer.body = std::move(buffer);
    if (!result && wanted) return broken_off(socket_, result.error());
    return answer;
}

int print_error(const Program& program, const ApiAnswer& answer) {
    if (program.json) {
        program.output.out << answer.body;
        return exit_failed;
    }
    const nlohmann::json body = nlohmann::json::parse(answer.body, nullptr, false);
    const auto error = body.is_object() ? body.find("error") : body.end();
    if (error != body.end() && error->is_string())
        return complain(program, error->get<std::string>(), exit_failed);
    return complain(program, fmt::format("the daemon answered with HTTP status {}", answer.status),
                    exit_failed);
}

namespace {

int ask(const Program& program, const std::string& method, const std::string& path,
        const std::string& body, std::string& text) {
    const Result<ApiClient> client = ApiClient::find(program);
    if (!client) return complain(program, client.error().message, exit_no_daemon);
    const Result<ApiAnswer> answer = client->request(method, path, body);
    if (!answer) return complain(program, answer.error().message, exit_no_daemon);
    if (answer->status != 200) return print_error(program, *answer);
    text = answer->body;
    return exit_ok;
}

}  // namespace

int show_page(const Program& program, const std::string& path) {
    std::string text;
    const int code = ask(program, "GET", path + (program.json ? "" : "?format=text"), "", text);
    program.output.out << text;
    return code;
}

int send_command(const Program& program, const daemon::Command& command) {
    const daemon::CommandRequest request = daemon::write_command(command);
    std::string text;
    const int code = ask(program, request.method, request.path, request.body, text);
    if (code != exit_ok) return code;
    if (program.json) {
        program.output.out << text;
        return exit_ok;
    }
    const nlohmann::json body = nlohmann::json::parse(text, nullptr, false);
    if (body.is_object()) program.output.out << body.value("message", "done") << "\n";
    return exit_ok;
}

}  // namespace braidway::apps
