// SPDX-License-Identifier: Apache-2.0
#include "daemon/api_command.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/limits.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

TEST(ApiCommand, EveryCommandIsReadAsItWasWritten) {
    for (unsigned at = 0; at <= static_cast<unsigned>(Command::Kind::reload); ++at) {
        Command command;
        command.kind = static_cast<Command::Kind>(at);
        command.group = 3;
        command.layer = "error";
        command.path = "a.1";
        command.map = "db";
        command.hold = command.kind == Command::Kind::fail_path;
        if (command.kind == Command::Kind::set_layer) {
            command.enabled = false;
            command.parameters = {{"class", "medium"}};
        }
        const CommandRequest request = write_command(command);
        std::vector<std::string> words = split_words(request.path, '/');
        ASSERT_EQ(words[0], "v1");
        words.erase(words.begin());
        const Result<Command> read = read_command(request.method, words, request.body);
        ASSERT_TRUE(read) << request.path << ": " << read.error().message;
        EXPECT_EQ(read->kind, command.kind) << request.path;
        EXPECT_EQ(read->hold, command.hold);
        EXPECT_EQ(read->enabled, command.enabled);
        EXPECT_EQ(read->parameters.size(), command.parameters.size());
        EXPECT_EQ(read->path, words[0] == "paths" ? "a.1" : "");
        EXPECT_EQ(read->map, words[0] == "maps" ? "db" : "");
    }
}

TEST(ApiCommand, RefusalsHaveACodeThatTellsThemApart) {
    EXPECT_EQ(read_command("POST", {}, "").error().code, ENOENT);
    EXPECT_EQ(read_command("POST", {"paths", "a1", "layers"}, "").error().code, ENOENT);
    EXPECT_EQ(read_command("POST", {"reload", "now"}, "").error().code, ENOENT);
    EXPECT_EQ(read_command("GET", {"reload"}, "").error().code, EPROTOTYPE);
    EXPECT_EQ(read_command("POST", {"reload"}, "[]").error().code, EINVAL);
    EXPECT_EQ(
        read_command("PUT", {"paths", "a1", "layers", "error"}, R"({"parameters": {"class": []}})")
            .error()
            .message,
        "parameters.class: expected a string, number or boolean");
}

}  // namespace
}  // namespace braidway::daemon
