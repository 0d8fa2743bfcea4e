// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/playing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace braidway::lockcheck {
namespace {

std::string contents(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

[[noreturn]] void run(const Play& play, const std::filesystem::path& folder) {
    for (const auto& [fd, name] : {std::pair{1, "out"}, std::pair{2, "err"}}) {
        const int file = open((folder / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, fd);
        close(file);
    }
    alarm(play.alarm_s);
    std::vector<std::string> words{
        "LD_PRELOAD=" LOCKCHECK_LIBRARY,
        "LOCKCHECK_JSON=" + (folder / "documents").string(),
        "LOCKCHECK_STATE=" + (folder / "state").string(),
        "LOCKCHECK_HANG_AFTER_MS=300",
        "LOCKCHECK_ROOT=" + std::to_string(play.is_root ? getpid() : 1),
    };
    words.insert(words.end(), play.environment.begin(), play.environment.end());
    std::vector<char*> environment;
    for (std::string& word : words) environment.push_back(word.data());
    environment.push_back(nullptr);
    std::string program = LOCKCHECK_SCENES;
    std::string scene = play.scene;
    std::array arguments{program.data(), scene.data(), static_cast<char*>(nullptr)};
    execve(program.c_str(), arguments.data(), environment.data());
    _exit(96);
}

}  // namespace

std::vector<std::string> Played::kinds(const char* list) const {
    std::vector<std::string> all;
    for (const auto& document : documents)
        for (const auto& finding : document[list]) all.push_back(finding["kind"]);
    return all;
}

Played play(const Play& play) {
    std::string name = (std::filesystem::temp_directory_path() / "lockcheck-XXXXXX").string();
    const std::filesystem::path folder = mkdtemp(name.data());
    {
        // As the front end makes it.
        std::array<uint32_t, 16> state{0x4b434b4c, 1};
        std::ofstream(folder / "state")
            .write(reinterpret_cast<const char*>(state.data()), sizeof state);
    }
    const pid_t child = fork();
    if (child == 0) run(play, folder);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    Played played;
    played.status = WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
    played.output = contents(folder / "out");
    played.errors = contents(folder / "err");
    std::istringstream lines(contents(folder / "documents"));
    for (std::string line; std::getline(lines, line);)
        played.documents.push_back(nlohmann::json::parse(line));
    std::filesystem::remove_all(folder);
    return played;
}

}  // namespace braidway::lockcheck
