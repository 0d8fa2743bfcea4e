// SPDX-License-Identifier: Apache-2.0
// Command lines of free-node-memory, run over a scripted kernel.
#include "apps/free_node_memory/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <streambuf>

#include "memory/reclaim/temporary_tree.h"

namespace braidway::apps {
namespace {

using memory::FakeKernel;
using memory::RootedKernel;
using memory::TemporaryTree;
using memory::fake::mib;
using memory::fake::What;
using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t mib_bytes = 1 << 20;

/// The kernel of a test, as often as the program makes itself a machine.
class Shared final : public memory::Machine {
  public:
    explicit Shared(RootedKernel& kernel) : kernel_(kernel) {}
    Result<std::string> read(const std::string& path) const override { return kernel_.read(path); }
    Result<void> write(const std::string& path, std::string_view text) override {
        return kernel_.write(path, text);
    }
    Result<std::vector<std::string>> list(const std::string& path) const override {
        return kernel_.list(path);
    }
    Result<void> writable(const std::string& path) const override { return kernel_.writable(path); }
    std::string root() const override { return kernel_.root(); }
    uint64_t page_bytes() const override { return kernel_.page_bytes(); }
    unsigned cpus() const override { return kernel_.cpus(); }
    Instant now() const override { return kernel_.now(); }
    bool pause(Duration length) override { return kernel_.pause(length); }
    bool cancelled() const override { return kernel_.cancelled(); }

  private:
    RootedKernel& kernel_;
};

/// Takes nothing, as a full disk does.
class Full final : public std::streambuf {
  protected:
    int overflow(int) override { return traits_type::eof(); }
};

struct Ran {
    int code = -1;
    std::string out;
    std::string error;
};

class ProgramTest : public testing::Test {
  protected:
    TemporaryTree tree{};
    RootedKernel kernel{3, tree.root()};
    memory::Cancel cancel{};
    bool terminal = false;

    void SetUp() override {
        if (geteuid() != 0) ::setenv("XDG_RUNTIME_DIR", (tree.root() + "/run").c_str(), 1);
        for (uint32_t node = 0; node < 3; ++node) {
            kernel.fill(node, {.pages = 400 * mib});
            kernel.fill(node, {.pages = 50 * mib, .dirty = true});
            kernel.fill(node, {.pages = 30 * mib, .mlocked = true});
            kernel.fill(node, {.what = What::tmpfs, .pages = 20 * mib});
        }
        kernel.settle();
    }
    int run_to(std::ostream& out, std::ostream& error, const std::vector<std::string>& words) {
        return run_free_node_memory(
            words, {.out = out,
                    .error = error,
                    .cancel = cancel,
                    .progress_bar = terminal,
                    .machine = [this](const std::string&) -> std::unique_ptr<memory::Machine> {
                        return std::make_unique<Shared>(kernel);
                    }});
    }
    Ran run(const std::vector<std::string>& words) {
        std::ostringstream out;
        std::ostringstream error;
        const int code = run_to(out, error, words);
        return {code, out.str(), error.str()};
    }
    /// "--node 0 --free 100M --what page-cache" with some words more.
    Ran free(std::vector<std::string> more) {
        std::vector<std::string> words{"--node", "0", "--free", "100M", "--what", "page-cache"};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
    void expect_usage(const std::vector<std::string>& words, const std::string& named) {
        const Ran ran = run(words);
        EXPECT_EQ(ran.code, node_memory_usage) << fmt::format("{}", fmt::join(words, " "));
        EXPECT_EQ(ran.out, "");
        EXPECT_THAT(ran.error, StartsWith("free-node-memory: "));
        EXPECT_THAT(ran.error, HasSubstr(named)) << fmt::format("{}", fmt::join(words, " "));
        EXPECT_EQ(std::ranges::count(ran.error, '\n'), 1) << ran.error;
        EXPECT_THAT(kernel.writes(), IsEmpty()) << "nothing was done";
    }
};

TEST_F(ProgramTest, FreesAndReports) {
    const Ran ran = free({});
    EXPECT_EQ(ran.code, 0) << ran.error;
    EXPECT_THAT(ran.out, StartsWith("node 0: freed 100M of 100M asked in "));
    EXPECT_THAT(ran.out, HasSubstr("freed: 100M page-cache"));
    EXPECT_THAT(ran.out, HasSubstr("by node-reclaim: 100M"));
    EXPECT_EQ(ran.error, "") << "no progress where no terminal is";
    EXPECT_EQ(free({"--quiet"}).out, "");
}

TEST_F(ProgramTest, RefusesBadAmounts) {
    for (const char* option : {"--free", "--until-free"})
        for (const char* value :
             {"-1", "+1", " 1", "1 ", "", " ", "0x10", "nan", "inf", "1e3", "1.5G", "10Q", "10MB",
              "18446744073709551616", "9999999P", "M", "1 0", "١"})
            expect_usage({"--node", "0", option, value, "--what", "page-cache"}, option);
    for (const char* value : {"-1", "+1", "1K", "nan", "0x10", "", "99999999999999999999"})
        expect_usage({"--node", "0", "--pages", value, "--what", "page-cache"}, "--pages");
    expect_usage({"--node", "0", "--free", "-5", "--what", "page-cache"}, "'-5'");
    expect_usage({"--node", "0", "--free=-5", "--what", "page-cache"}, "'-5'");
    expect_usage({"--node", "0", "--free=", "--what", "page-cache"}, "--free=");
    expect_usage({"--node", "0", "--what", "page-cache", "--free"}, "--free");
}

TEST_F(ProgramTest, RefusesUnknownKindsAndNodes) {
    for (const char* kinds : {"cache", "page-cache,", ",", "", "PAGE-CACHE", "page-cache,x"})
        expect_usage({"--node", "0", "--free", "1M", "--what", kinds}, "--what");
    for (const char* nodes : {"x", "-1", "0-", "2-1", "0,,1", "99999", "0x0", " "})
        expect_usage({"--node", nodes, "--free", "1M", "--what", "page-cache"}, "--node");
    kernel.node(1).has_memory = false;
    kernel.node(2).online = false;
    const auto words = [](const char* node) {
        return std::vector<std::string>{"--node", node, "--free", "1M", "--what", "page-cache"};
    };
    expect_usage(words("9"), "--node: there is no node 9");
    expect_usage(words("0,9"), "--node: there is no node 9");
    expect_usage(words("1"), "--node: node 1 has no memory");
    expect_usage(words("2"), "--node: node 2 is offline");
}

TEST_F(ProgramTest, WantsExactlyOneAmountANodeAndAKind) {
    expect_usage({"--node", "0", "--what", "page-cache"}, "--free");
    expect_usage({"--free", "1M", "--what", "page-cache"}, "--node");
    expect_usage({"--node", "0", "--free", "1M"}, "--what");
    expect_usage({"--node", "0", "--free", "1M", "--pages", "5", "--what", "page-cache"},
                 "--pages");
    expect_usage({"--node", "0", "--until-free", "1M", "--free", "5", "--what", "page-cache"},
                 "--until-free: cannot be used together with free");
    expect_usage({"--node", "0", "--free", "1M", "--free", "2M", "--what", "page-cache"}, "--free");
    expect_usage({"--node", "0", "--free", "1M", "--what", "slab", "--what", "page-cache"},
                 "--what");
}

TEST_F(ProgramTest, RefusesUnknownWords) {
    const std::vector<std::string> good{"--node", "0", "--free", "1M", "--what", "page-cache"};
    for (const char* word : {"--frobnicate", "-z", "frobnicate", "--fre", "--no-such=5"}) {
        auto words = good;
        words.emplace_back(word);
        expect_usage(words, std::string_view(word).starts_with("--no-such") ? "no-such" : word);
    }
    for (const char* option : {"--budget", "--keep-free", "--pressure-max", "--rate"}) {
        auto words = good;
        words.insert(words.end(), {option, "-7"});
        expect_usage(words, option);
    }
}

TEST_F(ProgramTest, SaysHowItIsUsedWhenNothingIsSaid) {
    const Ran ran = run({});
    EXPECT_EQ(ran.code, node_memory_usage);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.error, HasSubstr("--node"));
}

TEST_F(ProgramTest, HelpsAndTellsItsVersionWithoutPrivilege) {
    kernel.world().privileged = false;
    Ran ran = run({"--help"});
    EXPECT_EQ(ran.code, 0);
    for (const char* word : {"--node", "--free", "--until-free", "--pages", "--what", "--dry-run",
                             "--json", "--strict", "--policy", "status", "Exit codes"})
        EXPECT_THAT(ran.out, HasSubstr(word));
    EXPECT_EQ(ran.error, "");
    ran = run({"--version"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, StartsWith("free-node-memory "));
    EXPECT_THAT(ran.out, EndsWith("\n"));
    kernel.fail("/sys/devices/system/node/online", ENOENT);
    EXPECT_EQ(run({"--help"}).code, 0) << "and without nodes";
}

TEST_F(ProgramTest, ReadsAmountsInBinaryAndAnyCase) {
    for (const char* value : {"100M", "100m", "102400K", "100MiB", "100mib", "104857600"}) {
        const Ran ran =
            run({"--node", "0", "--free", value, "--what", "page-cache", "--json", "--dry-run"});
        EXPECT_EQ(json::parse(ran.out)["asked_bytes"], 100 * mib_bytes) << value;
    }
    const Ran pages =
        run({"--node", "0", "--pages", "100", "--what", "page-cache", "--json", "--dry-run"});
    EXPECT_EQ(json::parse(pages.out)["asked_bytes"],
              100 * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
}

TEST_F(ProgramTest, OfNothingDoesNothing) {
    for (const char* option : {"--free", "--pages", "--until-free"}) {
        const Ran ran = run({"--node", "all", option, "0", "--what", "page-cache", "--json"});
        EXPECT_EQ(ran.code, 0) << ran.error;
        EXPECT_EQ(json::parse(ran.out)["freed_bytes"], 0);
    }
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(ProgramTest, CountsANodeNamedTwiceOnce) {
    const Ran ran = run(
        {"--node", "1,1,0-1", "--node", "0", "--free", "10M", "--what", "page-cache", "--json"});
    const json report = json::parse(ran.out);
    EXPECT_EQ(report["nodes"].size(), 2u);
    EXPECT_EQ(report["asked_bytes"], 20 * mib_bytes);
    EXPECT_LE(report["freed"]["page_cache_bytes"], 21 * mib_bytes);
}

TEST_F(ProgramTest, AnswersOneWholeDocumentInJson) {
    kernel.node(2).has_memory = false;
    const Ran ran = run({"--node", "all", "--free", "10M", "--what", "page-cache,slab", "--json"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    const json report = json::parse(ran.out);
    EXPECT_EQ(report["nodes"].size(), 2u) << "all are those with memory";
    EXPECT_EQ(report["what"], "page-cache,slab");
    EXPECT_EQ(ran.error, "");
}

TEST_F(ProgramTest, PlansWithoutPrivilege) {
    kernel.world().privileged = false;
    const Ran ran = free({"--dry-run"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    for (const char* text :
         {"node 0: 100M to free of page-cache", "50M dirty", "30M mlocked", "20M tmpfs", "stays: "})
        EXPECT_THAT(ran.out, HasSubstr(text));
    const json plan = json::parse(free({"--dry-run", "--json"}).out)["plan"];
    EXPECT_EQ(plan["page_cache_bytes"], 400 * mib_bytes);
    EXPECT_EQ(plan["dirty_bytes"], 50 * mib_bytes);
    EXPECT_EQ(plan["mlocked_bytes"], 30 * mib_bytes);
    EXPECT_EQ(plan["shmem_bytes"], 20 * mib_bytes);
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(ProgramTest, ReportsAShortfallAndEndsWithThreeOnlyWhenStrict) {
    const std::vector<std::string> words{"--node", "0", "--free", "900M", "--what", "page-cache"};
    Ran ran = run(words);
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, HasSubstr("dirty"));
    auto strict = words;
    strict.emplace_back("--strict");
    EXPECT_EQ(run(strict).code, node_memory_short);
    strict.emplace_back("--json");
    ran = run(strict);
    EXPECT_EQ(ran.code, node_memory_short);
    EXPECT_NE(json::parse(ran.out)["reason"], "");
}

TEST_F(ProgramTest, EndsWithFourWhenItIsRefused) {
    Ran ran = run({"--node", "0", "--free", "10M", "--what", "anonymous"});
    EXPECT_EQ(ran.code, node_memory_refused);
    EXPECT_THAT(ran.error, HasSubstr("no swap"));
    kernel.world().privileged = false;
    ran = free({"--json"});
    EXPECT_EQ(ran.code, node_memory_refused);
    EXPECT_THAT(ran.error, HasSubstr("needs root"));
    EXPECT_EQ(std::ranges::count(ran.error, '\n'), 1);
    EXPECT_EQ(json::parse(ran.out)["reason_code"], "privilege");
}

TEST_F(ProgramTest, EndsWithThreeWhenItIsCancelled) {
    kernel.cancel_after(std::chrono::seconds(0));
    const Ran ran = free({"--json"});
    EXPECT_EQ(ran.code, node_memory_short);
    EXPECT_EQ(json::parse(ran.out)["reason_code"], "cancelled");
}

TEST_F(ProgramTest, SaysThatOutputCouldNotBeWritten) {
    Full full;
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"--help"},
          {"--version"},
          {"status"},
          {"--capabilities"},
          {"--node", "0", "--free", "1M", "--what", "page-cache"},
          {"--node", "0", "--free", "1M", "--what", "page-cache", "--json"},
          {"--node", "0", "--free", "1M", "--what", "page-cache", "--dry-run"}}) {
        std::ostream out(&full);
        std::ostringstream error;
        EXPECT_EQ(run_to(out, error, words), node_memory_failed) << words[0];
        EXPECT_EQ(error.str(), "free-node-memory: standard output could not be written\n");
    }
}

TEST_F(ProgramTest, ReadsAPolicyAndNamesItsLines) {
    tree.put("/policy", "# for benchmarks\nwhat = page-cache\nstrict\n");
    const std::string path = tree.root() + "/policy";
    const std::vector<std::string> words{"--policy", path, "--node", "0", "--free", "900M"};
    EXPECT_EQ(run(words).code, node_memory_short) << "strict is from the file";
    RootedKernel& before = kernel;
    const size_t writes = before.writes().size();
    tree.put("/policy", "what = page-cache\nnode = x\n");
    Ran ran = run(words);
    EXPECT_EQ(ran.code, node_memory_usage);
    EXPECT_THAT(ran.error, HasSubstr(path + ":2: node: 'x'"));
    tree.put("/policy", "\n\nfrobnicate = 5\n");
    EXPECT_THAT(run(words).error, HasSubstr(path + ":3: "));
    ran = run({"--policy", tree.root() + "/none", "--node", "0", "--free", "1M"});
    EXPECT_EQ(ran.code, node_memory_usage);
    EXPECT_THAT(ran.error, HasSubstr("--policy: cannot read " + tree.root() + "/none"));
    ran = run({"--policy", tree.root(), "--node", "0", "--free", "1M", "--what", "page-cache"});
    EXPECT_EQ(ran.code, node_memory_usage) << "a directory";
    EXPECT_EQ(kernel.writes().size(), writes);
}

TEST_F(ProgramTest, TheCommandLineOverrulesThePolicy) {
    tree.put("/policy", "what = slab\nfree = 5M\nnode = 2\n");
    const Ran ran = run({"--policy", tree.root() + "/policy", "--node", "1", "--until-free", "64K",
                         "--what", "page-cache", "--dry-run", "--json"});
    ASSERT_EQ(ran.code, 0) << ran.error;
    const json report = json::parse(ran.out);
    EXPECT_EQ(report["nodes"][0]["node"], 1);
    EXPECT_EQ(report["reading"], "until-free");
    EXPECT_EQ(report["what"], "page-cache");
}

TEST_F(ProgramTest, ShowsTheStatusOfNodes) {
    Ran ran = run({"status"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    for (const char* text :
         {"node 0: 1.0G", "node 2: 1.0G", "page cache", "dirty", "mlocked", "[", "swap: "})
        EXPECT_THAT(ran.out, HasSubstr(text));
    ran = run({"status", "--json", "--node", "1"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    const json status = json::parse(ran.out);
    ASSERT_EQ(status["nodes"].size(), 1u);
    EXPECT_EQ(status["nodes"][0]["node"], 1);
    EXPECT_EQ(status["nodes"][0]["dirty_bytes"], 50 * mib_bytes);
    EXPECT_EQ(status["nodes"][0]["page_cache_bytes"], 480 * mib_bytes);
    expect_usage({"status", "--node", "8"}, "there is no node 8");
    expect_usage({"status", "--frobnicate"}, "--frobnicate");
}

TEST_F(ProgramTest, ListsWhatWorksAndWhyNot) {
    kernel.node(1).reclaim_file = false;
    Ran ran = run({"--capabilities"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    EXPECT_THAT(ran.out, AllOf(HasSubstr("node-reclaim"), HasSubstr("Linux 6.17")));
    ran = run({"--capabilities", "--json", "--node", "0"});
    const json list = json::parse(ran.out)["capabilities"];
    ASSERT_FALSE(list.empty());
    EXPECT_EQ(list[0]["mechanism"], "node-reclaim");
    EXPECT_EQ(list[0]["usable"], true);
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(ProgramTest, DrawsABarOnATerminalOnly) {
    terminal = true;
    const Ran ran = free({});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.error, HasSubstr("\r["));
    EXPECT_THAT(ran.error, EndsWith("\r\x1b[K")) << "and takes it away";
    EXPECT_THAT(ran.out, Not(HasSubstr("\r")));
    EXPECT_EQ(free({"--quiet"}).error, "");
}

}  // namespace
}  // namespace braidway::apps
