// SPDX-License-Identifier: Apache-2.0
// Command lines with `known-state`, run on a scripted kernel.
#include "apps/free_node_memory/known_state_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::apps {
namespace {

using memory::FakeKernel;
using memory::fake::mib;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A machine that outlives the command which uses it.
class Borrowed final : public memory::Machine {
  public:
    Borrowed(FakeKernel& kernel, std::string root) : kernel_(kernel), root_(std::move(root)) {}
    Result<std::string> read(const std::string& path) const override { return kernel_.read(path); }
    Result<void> write(const std::string& path, std::string_view text) override {
        return kernel_.write(path, text);
    }
    Result<std::vector<std::string>> list(const std::string& path) const override {
        return kernel_.list(path);
    }
    Result<void> writable(const std::string& path) const override { return kernel_.writable(path); }
    std::string root() const override { return root_; }
    uint64_t page_bytes() const override { return kernel_.page_bytes(); }
    unsigned cpus() const override { return kernel_.cpus(); }
    Instant now() const override { return kernel_.now(); }
    bool pause(Duration length) override { return kernel_.pause(length); }
    bool cancelled() const override { return kernel_.cancelled(); }

  private:
    FakeKernel& kernel_;
    std::string root_;
};

struct Ran {
    int code = -1;
    std::string out;
    std::string error;
};

class KnownStateCommandTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
        kernel_.set_file("/proc/self/mountinfo", "");
        kernel_.set_file("/proc/sys/kernel/osrelease", "6.18.0\n");
        kernel_.fill(0, {.pages = 200 * mib});
        kernel_.settle();
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    Ran run(std::vector<std::string> words) {
        std::ostringstream out;
        std::ostringstream error;
        memory::Cancel cancel;
        words.insert(words.begin(), "known-state");
        const int code = run_free_node_memory(
            words, {.out = out, .error = error, .cancel = cancel, .machine = [this](auto&) {
                        return std::make_unique<Borrowed>(kernel_, folder_);
                    }});
        return {code, out.str(), error.str()};
    }
    std::string file(const std::string& name) const { return folder_ + "/" + name; }

    FakeKernel kernel_{2};
    std::string folder_ = "/tmp/braidway-known-state-XXXXXX";
};

TEST_F(KnownStateCommandTest, ShowsWhatEachStepCostAndTheState) {
    const Ran ran = run({"--node", "0"});
    EXPECT_EQ(ran.code, 0) << ran.error;
    EXPECT_THAT(ran.out, HasSubstr("drop-caches"));
    EXPECT_THAT(ran.out, HasSubstr("200M freed  pass 1"));
    EXPECT_THAT(ran.out, HasSubstr("kernel 6.18.0"));
    EXPECT_THAT(ran.out, HasSubstr("vm.swappiness=60"));
    EXPECT_THAT(ran.error, IsEmpty());
}

TEST_F(KnownStateCommandTest, SavesAStateThatTheNextRunFindsAgain) {
    ASSERT_EQ(run({"--save", file("state")}).code, 0);
    kernel_.fill(0, {.pages = 300 * mib});
    kernel_.settle();
    const Ran ran = run({"--assert", file("state")});
    EXPECT_EQ(ran.code, 0) << ran.out << ran.error;
    EXPECT_THAT(ran.out, HasSubstr("as in " + file("state")));
}

TEST_F(KnownStateCommandTest, EndsWith3AndALineForEachDifference) {
    ASSERT_EQ(run({"--save", file("state")}).code, 0);
    kernel_.fill(1, {.what = memory::fake::What::anonymous, .pages = 100 * mib});
    kernel_.settle();
    kernel_.world().swappiness = 10;
    const Ran ran = run({"--assert", file("state"), "--quiet"});
    EXPECT_EQ(ran.code, node_memory_short);
    EXPECT_THAT(ran.out, HasSubstr("differs: node 1 anonymous: expected 0B, found 100M"));
    EXPECT_THAT(ran.out, HasSubstr("differs: vm.swappiness: expected 60, found 10\n"));
    EXPECT_THAT(ran.out, Not(HasSubstr("node 0")));
}

TEST_F(KnownStateCommandTest, OnlyLooksWhenToldTo) {
    for (const char* word : {"--check-only", "--dry-run"}) {
        const Ran ran = run({word, "--save", file("state")});
        EXPECT_EQ(ran.code, 0) << ran.error;
        EXPECT_THAT(ran.out, HasSubstr("page cache"));
    }
    EXPECT_THAT(kernel_.writes(), IsEmpty());
    kernel_.fill(0, {.pages = 100 * mib});
    kernel_.settle();
    EXPECT_EQ(run({"--check-only", "--assert", file("state")}).code, node_memory_short);
    EXPECT_THAT(kernel_.writes(), IsEmpty());
}

TEST_F(KnownStateCommandTest, AnswersInJsonAlone) {
    const Ran ran = run({"--json"});
    ASSERT_EQ(ran.code, 0) << ran.error;
    const auto json = nlohmann::json::parse(ran.out);
    EXPECT_EQ(json["schema_version"], 1);
    EXPECT_EQ(json["steps"][0]["mechanism"], "writeback");
    EXPECT_EQ(json["fingerprint"]["nodes"].size(), 2u);
    EXPECT_TRUE(json["differences"].is_array());
}

TEST_F(KnownStateCommandTest, IsRefusedWithoutPrivilegeWithOneLine) {
    kernel_.world().privileged = false;
    const Ran ran = run({});
    EXPECT_EQ(ran.code, node_memory_refused);
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_THAT(ran.error, HasSubstr("needs root"));
    EXPECT_THAT(kernel_.writes(), IsEmpty());
    EXPECT_EQ(run({"--check-only"}).code, 0);
}

TEST_F(KnownStateCommandTest, EndsWith3AndWithoutADocumentWhenCancelled) {
    kernel_.on_write([this](auto&, auto&) { kernel_.cancel_after(Duration(0)); });
    const Ran ran = run({"--json"});
    EXPECT_EQ(ran.code, node_memory_short);
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_THAT(ran.error, HasSubstr("cancelled"));
}

TEST_F(KnownStateCommandTest, RefusesWordsThatMeanNothingHereBeforeItChangesAnything) {
    std::ofstream(file("broken")) << "{";
    EXPECT_THAT(run({"--free", "1G"}).error, HasSubstr("--free"));
    EXPECT_THAT(run({"--what", "slab"}).error, HasSubstr("--what"));
    EXPECT_THAT(run({"--node", "7"}).error, HasSubstr("node 7"));
    EXPECT_THAT(run({"--assert", file("nothing")}).error, HasSubstr("cannot read"));
    EXPECT_THAT(run({"--assert", file("broken")}).error, HasSubstr("is no JSON"));
    EXPECT_EQ(run({"--assert", file("broken")}).code, node_memory_usage);
    EXPECT_EQ(run({"--nonsense"}).code, node_memory_usage);
    EXPECT_THAT(kernel_.writes(), IsEmpty());
}

TEST_F(KnownStateCommandTest, SaysWhenTheFingerprintCannotBeSaved) {
    const Ran ran = run({"--save", file("no/such/folder")});
    EXPECT_EQ(ran.code, node_memory_failed);
    EXPECT_THAT(ran.error, HasSubstr("--save: cannot write"));
}

}  // namespace
}  // namespace braidway::apps
