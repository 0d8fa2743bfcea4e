// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_server.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <array>

#include <filesystem>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "daemon/json.h"
#include "fake_control_target.h"

namespace braidway::daemon {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

Duration noon() {
    return 12h;
}

class ApiServerTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string folder = "/tmp/braidway-api-XXXXXX";
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        config_.socket = folder + "/api.sock";
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }

    void start() {
        auto opened = ApiServer::open(config_, events_);
        ASSERT_TRUE(opened) << opened.error().message;
        server_ = std::move(*opened);
        server_->serve(target_);
    }

    std::unique_ptr<httplib::Client> client() const {
        auto made = std::make_unique<httplib::Client>(config_.socket, 80);
        made->set_address_family(AF_UNIX);
        return made;
    }

    json body(const httplib::Result& result, int status) {
        EXPECT_TRUE(result) << httplib::to_string(result.error());
        if (!result) return {};
        EXPECT_EQ(result->status, status) << result->body;
        const json value = json::parse(result->body, nullptr, false);
        EXPECT_TRUE(value.is_object()) << result->body;
        EXPECT_EQ(value.value("schema", 0), 1);
        return value;
    }

    void raise(const std::string& kind) {
        EventRecord event;
        event.kind = kind;
        events_.event(event);
    }

    std::filesystem::path folder_;
    ApiConfig config_;
    EventRing events_{noon, 20};
    FakeControlTarget target_;
    std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiServerTest, ShowsAreCompleteJson) {
    start();
    const json topology = body(client()->Get("/v1/topology"), 200);
    EXPECT_EQ(topology["maps"][0]["groups"][0]["paths"][1]["last_failure"]["by"], "operator");
    EXPECT_EQ(topology["maps"][0]["groups"][0]["name"], "controller A");
    const json status = body(client()->Get("/v1/status"), 200);
    EXPECT_EQ(status["pid"], 42);
    EXPECT_EQ(status["paths"], 3);
    const json path = body(client()->Get("/v1/paths/a22"), 200);
    ASSERT_EQ(path["paths"].size(), 1u);
    EXPECT_EQ(path["paths"][0]["outcomes"]["transport"], 2);
    EXPECT_EQ(path["paths"][0]["check"]["seconds_ago"], 1.5);
    EXPECT_EQ(path["paths"][0]["layers"][0]["kind"], "error");
    const json exports = body(client()->Get("/v1/exports"), 200);
    EXPECT_EQ(exports["exports"][0]["description"], "the \"database\"");
    EXPECT_EQ(body(client()->Get("/v1/maps/spare"), 200)["maps"].size(), 1u);
}

TEST_F(ApiServerTest, ShowsAreTextWhenAsked) {
    start();
    const auto text = client()->Get("/v1/topology/db?format=text");
    ASSERT_TRUE(text);
    EXPECT_EQ(text->get_header_value("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(text->body.find("db dm-0 BRAIDWAY,VOLUME\n"), 0u);
    EXPECT_EQ(text->body.find("spare"), std::string::npos);
    const auto metrics = client()->Get("/metrics");
    ASSERT_TRUE(metrics);
    EXPECT_NE(metrics->body.find("braidway_map_valid_paths{map=\"db\"} 2"), std::string::npos);
}

TEST_F(ApiServerTest, CommandsReachTheDaemonAsTheyWereMeant) {
    start();
    const auto http = client();
    EXPECT_EQ(body(http->Post("/v1/paths/a1/fail", R"({"hold": true})", "application/json"),
                   200)["message"],
              "done");
    body(http->Post("/v1/paths/a1/reinstate"), 200);
    body(http->Post("/v1/maps/db/switch-group", R"({"group": 2})", "application/json"), 200);
    body(http->Post("/v1/maps/db/queue-if-no-path"), 200);
    body(http->Put("/v1/paths/a1/layers/error",
                   R"({"enabled": false, "parameters": {"class": "medium", "count": 3}})",
                   "application/json"),
         200);
    body(http->Post("/v1/reload"), 200);
    const std::vector<Command> commands = target_.commands();
    ASSERT_EQ(commands.size(), 6u);
    EXPECT_EQ(commands[0].kind, Command::Kind::fail_path);
    EXPECT_EQ(commands[0].path, "a1");
    EXPECT_TRUE(commands[0].hold);
    EXPECT_EQ(commands[1].kind, Command::Kind::reinstate_path);
    EXPECT_EQ(commands[2].map, "db");
    EXPECT_EQ(commands[2].group, 2u);
    EXPECT_EQ(commands[3].kind, Command::Kind::queue_if_no_path);
    EXPECT_EQ(commands[4].layer, "error");
    EXPECT_EQ(commands[4].enabled, false);
    ASSERT_EQ(commands[4].parameters.size(), 2u);
    EXPECT_EQ(commands[4].parameters[1].key, "count");
    EXPECT_EQ(commands[4].parameters[1].value, "3");
    EXPECT_EQ(commands[5].kind, Command::Kind::reload);
}

TEST_F(ApiServerTest, WrongRequestsSayWhatIsWrong) {
    start();
    const auto http = client();
    const std::string type = "application/json";
    const auto error = [&](const httplib::Result& result, int status) {
        return body(result, status).value("error", "");
    };
    EXPECT_EQ(error(http->Get("/v1/maps/bd"), 404),
              "no map is called 'bd'; there are db and spare");
    EXPECT_EQ(error(http->Post("/v1/paths/zz/fail"), 404), "no path is called 'zz'; there are a1");
    EXPECT_EQ(error(http->Get("/v2/maps"), 404),
              "there is no such page; everything is under /v1/, and /metrics");
    EXPECT_EQ(error(http->Post("/v1/paths/a1/explode"), 404),
              "there is no such request; docs/braidway.md lists them");
    EXPECT_EQ(error(http->Get("/v1/paths/a1/fail"), 405), "this request is made with POST");
    EXPECT_EQ(error(http->Post("/v1/maps"), 405), "this request is made with GET");
    EXPECT_EQ(error(http->Delete("/v1/maps/db"), 405), "this request is made with GET");
    EXPECT_EQ(error(http->Post("/v1/maps/db/switch-group"), 400),
              "group: is missing; expected {\"group\": N}, from 1");
    EXPECT_EQ(error(http->Post("/v1/maps/db/switch-group", R"({"group": -1})", type), 400),
              "group: expected a whole number from 1 to 1024");
    EXPECT_EQ(error(http->Post("/v1/maps/db/switch-group", R"({"group": 3})", type), 400),
              "map db: group 3: there are groups 1 to 2");
    EXPECT_EQ(error(http->Post("/v1/paths/a1/fail", R"({"holt": true})", type), 400),
              "holt: unknown member; expected hold");
    EXPECT_EQ(error(http->Post("/v1/paths/a1/fail", "hold", type), 400),
              "the body is no JSON object");
    EXPECT_EQ(error(http->Put("/v1/paths/a1/layers/error", "{}", type), 400),
              "expected \"enabled\", \"parameters\" or both");
    EXPECT_EQ(error(http->Get("/v1/maps?format=xml"), 400), "format: 'xml'; expected text or json");
    EXPECT_EQ(error(http->Get("/v1/events?since=x"), 400),
              "since: 'x'; expected the number of an event");
    EXPECT_TRUE(target_.commands().empty());
}

TEST_F(ApiServerTest, APostWithoutABodyIsAnsweredAtOnce) {
    start();
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    config_.socket.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    // As curl -X POST sends it: no length, no encoding, and the connection stays open.
    const std::string_view asked = "POST /v1/paths/a1/fail HTTP/1.1\r\nHost: localhost\r\n\r\n";
    ASSERT_EQ(::write(fd, asked.data(), asked.size()), static_cast<ssize_t>(asked.size()));
    std::array<char, 64> answer{};
    const ssize_t bytes = ::read(fd, answer.data(), answer.size());
    ASSERT_GT(bytes, 0);
    const std::string_view said(answer.data(), static_cast<size_t>(bytes));
    EXPECT_TRUE(said.starts_with("HTTP/1.1 200")) << said;
    ::close(fd);
}

TEST_F(ApiServerTest, ADaemonThatDoesNotAnswerIsA503) {
    start();
    target_.get_stuck();
    EXPECT_EQ(body(client()->Get("/v1/maps"), 503)["error"],
              "the daemon did not answer within 5 s");
    body(client()->Post("/v1/paths/a1/fail"), 503);
}

TEST_F(ApiServerTest, ABodyTooLargeIsRefused) {
    start();
    body(client()->Post("/v1/paths/a1/fail", std::string(limits::api_request_bytes_max + 1, ' '),
                        "application/json"),
         413);
}

TEST_F(ApiServerTest, EventsAreLinesFromTheGivenNumberOn) {
    start();
    for (int at = 0; at < 25; ++at) raise("x");
    const auto all = client()->Get("/v1/events");
    ASSERT_TRUE(all);
    std::istringstream lines(all->body);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(json::parse(line)["lost"], 5) << "the ring keeps 20";
    std::getline(lines, line);
    EXPECT_EQ(event_from_json(line)->sequence, 6u);
    const auto last = client()->Get("/v1/events?since=24");
    ASSERT_TRUE(last);
    EXPECT_EQ(event_from_json(last->body)->sequence, 25u);
    EXPECT_EQ(client()->Get("/v1/events?since=25")->body, "");
}

/// Reads events until it has seen `count` of them, in a thread of its own.
class Follower {
  public:
    Follower(std::unique_ptr<httplib::Client> client, size_t count, const std::string& query)
        : client_(std::move(client)) {
        client_->set_read_timeout(60);
        thread_ = std::thread([this, count, query] {
            ended_well_ =
                client_
                    ->Get(
                        "/v1/events?follow=1" + query,
                        [&](const httplib::Response& response) {
                            connected_.set_value(response.status);
                            return response.status == 200;
                        },
                        [this, count](const char* data, size_t size) {
                            text_.append(data, size);
                            return static_cast<size_t>(std::ranges::count(text_, '\n')) < count;
                        })
                    .error() == httplib::Error::Success;
        });
    }
    ~Follower() {
        if (thread_.joinable()) thread_.join();
    }

    int status() { return connected_.get_future().get(); }
    std::string text() {
        thread_.join();
        return text_;
    }
    /// Whether the answer came to its end; after text().
    bool ended_well() const { return ended_well_; }

  private:
    std::unique_ptr<httplib::Client> client_;
    std::promise<int> connected_;
    std::string text_;
    bool ended_well_ = false;
    std::thread thread_;
};

TEST_F(ApiServerTest, AFollowerSeesWhatHappensFromNowOn) {
    start();
    raise("old");
    Follower follower(client(), 2, "");
    ASSERT_EQ(follower.status(), 200);
    raise("new");
    raise("newer");
    const std::string text = follower.text();
    EXPECT_EQ(event_from_json(text.substr(0, text.find('\n')))->kind, "new");
}

TEST_F(ApiServerTest, TheLimitOfFollowersLeavesRoomForCommands) {
    start();
    std::vector<std::unique_ptr<Follower>> followers;
    for (size_t at = 0; at < limits::event_followers_max; ++at) {
        followers.push_back(std::make_unique<Follower>(client(), 1, ""));
        ASSERT_EQ(followers.back()->status(), 200);
    }
    EXPECT_EQ(body(client()->Get("/v1/events?follow=1"), 503)["error"],
              "16 others follow the events already, which is the limit");
    EXPECT_EQ(body(client()->Post("/v1/paths/a1/fail"), 200)["message"], "done");
    raise("end");
    followers.clear();
    // Places come back when the server notices that a follower is gone.
    int status = 503;
    while (status == 503) {
        Follower next(client(), 1, "");
        status = next.status();
        raise("end");
    }
    EXPECT_EQ(status, 200);
}

TEST_F(ApiServerTest, StopEndsTheAnswersOfFollowers) {
    start();
    Follower follower(client(), 1000, "");
    ASSERT_EQ(follower.status(), 200);
    server_->stop();
    EXPECT_EQ(follower.text(), "");
    EXPECT_TRUE(follower.ended_well());
}

}  // namespace
}  // namespace braidway::daemon
