// SPDX-License-Identifier: Apache-2.0
// Command lines, run against an API server over a daemon made of values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../../daemon/fake_control_target.h"
#include "apps/braidway/demo_config.h"
#include "apps/braidway/places.h"
#include "apps/braidway/program.h"
#include "daemon/api_server.h"

namespace braidway::apps {
namespace {

using daemon::ApiServer;
using daemon::Command;
using daemon::EventRing;
using daemon::FakeControlTarget;
using testing::HasSubstr;
using testing::StartsWith;

Duration noon() {
    return std::chrono::hours(12);
}

struct Ran {
    int code = -1;
    std::string out;
    std::string error;
};

Ran run_words(const std::vector<std::string>& words) {
    std::ostringstream out;
    std::ostringstream error;
    const auto no_daemon = [](const daemon::Config&, daemon::EventSink&)
        -> Result<std::unique_ptr<daemon::RunningDaemon>> { return fail("cannot start here"); };
    const int code = run(words, {out, error}, no_daemon);
    return {code, out.str(), error.str()};
}

class CliTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string folder = "/tmp/braidway-cli-XXXXXX";
        ASSERT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        ::setenv("XDG_STATE_HOME", folder.c_str(), 1);
        ::unsetenv("XDG_RUNTIME_DIR");
        ::unsetenv("BRAIDWAY_API");
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }

    void serve(const std::string& socket) {
        auto opened = ApiServer::open({.socket = socket, .mode = 0600, .line = 0}, events_);
        ASSERT_TRUE(opened) << opened.error().message;
        server_ = std::move(*opened);
        server_->serve(target_);
    }
    /// Where the demo's socket is by default.
    std::string usual_socket() {
        std::filesystem::create_directories(default_demo_state());
        return demo_api_socket(default_demo_state());
    }
    std::string write_config(const std::string& text) const {
        std::ofstream(folder_ / "b.toml") << text;
        return folder_ / "b.toml";
    }

    std::filesystem::path folder_;
    EventRing events_{noon};
    FakeControlTarget target_;
    std::unique_ptr<ApiServer> server_;
};

TEST_F(CliTest, TheDemoIsFoundWithoutBeingNamed) {
    serve(usual_socket());
    const Ran ran = run_words({"show", "topology"});
    EXPECT_EQ(ran.code, exit_ok) << ran.error;
    EXPECT_THAT(ran.out, StartsWith("db dm-0 BRAIDWAY,VOLUME\n"));
}

TEST_F(CliTest, TheOptionCountsMoreThanTheEnvironment) {
    serve(folder_ / "x.sock");
    ::setenv("BRAIDWAY_API", "/nonexistent", 1);
    EXPECT_EQ(run_words({"show", "status", "--api", folder_ / "x.sock"}).code, exit_ok);
    const Ran ran = run_words({"show", "status"});
    EXPECT_EQ(ran.code, exit_no_daemon);
    EXPECT_EQ(ran.error,
              "braidway: no daemon answers at /nonexistent (from BRAIDWAY_API): No such "
              "file or directory\n");
    ::setenv("BRAIDWAY_API", (folder_ / "x.sock").c_str(), 1);
    EXPECT_EQ(run_words({"show", "status"}).code, exit_ok);
}

TEST_F(CliTest, WithoutADaemonThePlacesAreNamed) {
    const Ran ran = run_words({"show", "paths"});
    EXPECT_EQ(ran.code, exit_no_daemon);
    EXPECT_THAT(ran.error, HasSubstr(demo_api_socket(default_demo_state())));
    EXPECT_THAT(ran.error, HasSubstr("/run/braidway/api.sock"));
}

TEST_F(CliTest, ShowsPrintTextOrJson) {
    serve(usual_socket());
    EXPECT_THAT(run_words({"show", "maps"}).out, StartsWith("MAP "));
    EXPECT_THAT(run_words({"show", "dm", "db"}).out, StartsWith("db: "));
    EXPECT_THAT(run_words({"show", "map", "db"}).out, testing::Not(HasSubstr("spare")));
    EXPECT_THAT(run_words({"--json", "list", "paths"}).out, StartsWith("{\"paths\":["));
    EXPECT_THAT(run_words({"show", "exports", "--json"}).out, HasSubstr("\"schema\":1"));
    EXPECT_THAT(run_words({"show", "status"}).out, StartsWith("version: "));
}

TEST_F(CliTest, TheDaemonsNoIsExitCodeOne) {
    serve(usual_socket());
    const Ran ran = run_words({"fail", "path", "zz"});
    EXPECT_EQ(ran.code, exit_failed);
    EXPECT_EQ(ran.error, "braidway: no path is called 'zz'; there are a1\n");
    const Ran json = run_words({"fail", "path", "zz", "--json"});
    EXPECT_EQ(json.code, exit_failed);
    EXPECT_EQ(json.out, "{\"error\":\"no path is called 'zz'; there are a1\",\"schema\":1}\n");
}

struct CommandLine {
    std::vector<std::string> words;
    Command::Kind kind;
};

TEST_F(CliTest, EveryCommandReachesTheDaemon) {
    serve(usual_socket());
    using Kind = Command::Kind;
    const CommandLine lines[] = {
        {{"fail", "path", "a1", "--hold"}, Kind::fail_path},
        {{"reinstate", "path", "a1"}, Kind::reinstate_path},
        {{"check", "path", "a1"}, Kind::check_path},
        {{"switch", "group", "db", "2"}, Kind::switch_group},
        {{"switch", "map", "db", "group", "2"}, Kind::switch_group},
        {{"switchgroup", "map", "db", "group", "2"}, Kind::switch_group},
        {{"disable", "group", "db", "1"}, Kind::disable_group},
        {{"enable", "group", "db", "1"}, Kind::enable_group},
        {{"queue-if-no-path", "map", "db"}, Kind::queue_if_no_path},
        {{"restorequeueing", "map", "db"}, Kind::queue_if_no_path},
        {{"disablequeueing", "map", "db"}, Kind::fail_if_no_path},
        {{"set", "path", "a1", "error", "on", "class=medium"}, Kind::set_layer},
        {{"set", "path", "a1", "delay", "read=5 ms"}, Kind::set_layer},
        {{"reload"}, Kind::reload},
        {{"suspend", "map", "db", "--noflush"}, Kind::suspend_map},
        {{"resume", "map", "db"}, Kind::resume_map},
    };
    for (const CommandLine& line : lines) {
        const Ran ran = run_words(line.words);
        EXPECT_EQ(ran.code, exit_ok) << line.words[0] << ": " << ran.error;
        EXPECT_EQ(ran.out, "done\n");
    }
    const std::vector<Command> commands = target_.commands();
    ASSERT_EQ(commands.size(), std::size(lines));
    for (size_t at = 0; at < commands.size(); ++at)
        EXPECT_EQ(commands[at].kind, lines[at].kind) << at;
    EXPECT_TRUE(commands[0].hold);
    EXPECT_EQ(commands[4].map, "db");
    EXPECT_EQ(commands[4].group, 2u);
    EXPECT_EQ(commands[11].enabled, true);
    EXPECT_EQ(commands[11].parameters[0].value, "medium");
    EXPECT_EQ(commands[12].enabled, std::nullopt);
    EXPECT_EQ(commands[12].parameters[0].value, "5 ms");
    EXPECT_TRUE(commands[14].noflush);
}

TEST_F(CliTest, EventsAreLinesForPeopleOrJson) {
    serve(usual_socket());
    daemon::EventRecord event;
    event.kind = "path-failed";
    event.path = "a1";
    events_.event(event);
    events_.event(event);
    EXPECT_EQ(run_words({"events"}).out,
              "1 1970-01-01T12:00:00.000Z info path-failed path=a1\n"
              "2 1970-01-01T12:00:00.000Z info path-failed path=a1\n");
    EXPECT_THAT(run_words({"events", "--since", "1"}).out, StartsWith("2 "));
    EXPECT_THAT(run_words({"events", "--json", "--since", "1"}).out,
                StartsWith("{\"kind\":\"path-failed\""));
}

TEST_F(CliTest, WrongWordsAreExitCodeTwoWithTheWayOut) {
    const auto problem = [](std::vector<std::string> words) {
        const Ran ran = run_words(std::move(words));
        EXPECT_EQ(ran.code, exit_usage);
        return ran.error;
    };
    EXPECT_THAT(problem({"shwo"}),
                StartsWith("braidway: 'shwo' is unknown (did you mean 'show'?)"));
    EXPECT_THAT(problem({"show", "toplogy"}),
                StartsWith("braidway: 'toplogy' is unknown (did you mean 'topology'?)"));
    EXPECT_THAT(problem({"fail"}), StartsWith("braidway: a word is missing after `braidway fail`; "
                                              "expected one of path"));
    EXPECT_THAT(problem({"switch", "group", "db", "0"}), HasSubstr("not in range 1 to 1024"));
    EXPECT_THAT(problem({"set", "path", "a1", "errr", "on"}), HasSubstr("did you mean 'error'?"));
    EXPECT_THAT(problem({"set", "path", "a1", "error", "clas=io"}), HasSubstr("'class'"));
    EXPECT_THAT(problem({"set", "path", "a1", "error", "maybe"}),
                HasSubstr("'maybe': expected on, off or KEY=VALUE"));
    EXPECT_THAT(problem({"demo", "--io-backend", "x"}),
                HasSubstr("'x': expected one of auto epoll io_uring"));
    EXPECT_THAT(problem({"demo", "--nbd", "x"}), HasSubstr("--nbd: 'x' is not an address"));
    EXPECT_THAT(problem({}), HasSubstr("Usage: braidway"));
}

TEST_F(CliTest, HelpIsNoError) {
    const Ran ran = run_words({"set", "path", "--help"});
    EXPECT_EQ(ran.code, exit_ok);
    EXPECT_THAT(ran.out, HasSubstr("braidway set path a1 error on class=transport"));
    EXPECT_THAT(run_words({"--version"}).out, StartsWith("braidway "));
}

TEST_F(CliTest, CheckReportsEveryProblemOrSaysOk) {
    const std::string good =
        write_config("[path.a]\ndevice = \"zero:1G\"\n[map.m]\ngroups = [{ paths = [\"a\"] }]\n");
    const Ran ok = run_words({"serve", "--config", good, "--check"});
    EXPECT_EQ(ok.code, exit_ok);
    EXPECT_EQ(ok.out, "ok: 1 maps, 1 paths, 0 exports\n");
    const std::string bad = write_config("[api]\nsoket = 1\n[daemon]\nio_backend = 1\n");
    const Ran refused = run_words({"serve", "--config", bad, "--check"});
    EXPECT_EQ(refused.code, exit_usage);
    EXPECT_EQ(refused.error, bad + ":2: api.soket: unknown key (did you mean 'socket'?)\n" + bad +
                                 ":4: daemon.io_backend: is a whole number; expected one of "
                                 "\"auto\", \"io_uring\", \"epoll\"\n"
                                 "braidway: 2 problems in the configuration\n");
}

TEST_F(CliTest, TheDemoHasFourPathsInTwoGroups) {
    const Result<daemon::Config> config = make_demo_config("/srv/demo", {});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->paths.size(), 4u);
    EXPECT_EQ(config->maps[0].groups[1].name, "controller B");
    ASSERT_EQ(config->exports[0].nbd.size(), 2u);
    EXPECT_EQ(config->exports[0].nbd[0].text(), "unix:/srv/demo/demo.sock");
    EXPECT_EQ(config->exports[0].nbd[1].text(), "tcp:127.0.0.1:10809");
    const Result<daemon::Config> moved = make_demo_config("/srv/demo", {"tcp:127.0.0.1:7"});
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->exports[0].nbd[1].text(), "tcp:127.0.0.1:7");
    EXPECT_THAT(demo_hints(*config, "/srv/demo"), HasSubstr("\n  braidway show topology\n"));
    EXPECT_THAT(demo_hints(*config, "/home/x"),
                HasSubstr("\n  braidway --api /srv/demo/api.sock show topology\n"));
}

TEST_F(CliTest, TheDemoImageIsSparseAndKept) {
    ASSERT_TRUE(make_demo_image(folder_ / "state"));
    const std::filesystem::path image = folder_ / "state/disk.img";
    EXPECT_EQ(std::filesystem::file_size(image), demo_image_bytes);
    std::filesystem::resize_file(image, 4096);
    ASSERT_TRUE(make_demo_image(folder_ / "state"));
    EXPECT_EQ(std::filesystem::file_size(image), 4096u);
}

}  // namespace
}  // namespace braidway::apps
