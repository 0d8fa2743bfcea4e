// SPDX-License-Identifier: Apache-2.0
// Asks what the functions of placed_locks.c tell of the locks that they initialise or have in their
// frames.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>

#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"
#include "apps/lockcheck/type_evidence.h"
#include "base/clock.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t lock_bytes = 40;
constexpr uint64_t account_bytes = 48;
constexpr uint64_t pair_bytes = 88;

std::string words(const Evidence& evidence) {
    switch (evidence.verdict) {
        case Evidence::Verdict::passed:
            return "passed";
        case Evidence::Verdict::unknown:
            return "unknown";
        case Evidence::Verdict::known:
            break;
    }
    // Without the place of the declaration.
    const size_t begin = evidence.identity.find(" (");
    const size_t end = evidence.identity.find("::");
    return "known " + (begin == std::string::npos
                           ? evidence.identity
                           : evidence.identity.substr(0, begin) + evidence.identity.substr(end));
}

/// placed_locks.c, compiled in one way.
class Placed {
  public:
    explicit Placed(const std::string& compiler) {
        const std::string program = folder_.path("placed");
        const std::string output = folder_.path("output");
        const std::string command = compiler + " -g -no-pie -o " + program +
                                    " " LOCKCHECK_TEST_SOURCES "/placed_locks.c && " + program +
                                    " >" + output;
        if (std::system(command.c_str()) != 0) return;
        std::istringstream lines(*read_file(output, 1'000'000));
        std::string name;
        for (Place place; lines >> name >> std::hex >> place.address;) {
            if (lines.peek() == ' ') lines >> std::dec >> place.below_end;
            places_[name] = place;
        }
        elf_ = std::make_unique<ElfModule>(program);
        units_ = std::make_unique<DebugUnits>(*elf_, monotonic_now() + 60s);
    }
    bool built() const { return units_ != nullptr; }

    /// Of a lock at this offset of a block; 0 bytes: nothing is known of the block.
    std::string initialised(const std::string& name, uint64_t block_bytes, uint64_t offset = 0) {
        return words(evidence_of_initialisation(
            *units_, units_->scopes(places_.at(name).address),
            {.block_bytes = block_bytes, .offset_bytes = offset, .lock_bytes = lock_bytes}));
    }
    /// Of a lock so many bytes beside the place in the frame that the program named.
    std::string in_frame(const std::string& name, int64_t beside = 0) {
        const Place& place = places_.at(name);
        const std::vector<CodeScope> scopes = units_->scopes(place.address);
        if (scopes.empty()) return "no scopes";
        return words(evidence_of_frame(*units_, scopes.back().die,
                                       place.below_end - static_cast<uint64_t>(beside),
                                       lock_bytes));
    }
    bool is_one_place(const std::string& one, const std::string& other) const {
        return places_.at(one).below_end == places_.at(other).below_end;
    }
    DebugUnits& units() { return *units_; }

  private:
    struct Place {
        uint64_t address = 0;
        uint64_t below_end = 0;
    };

    Folder folder_;
    std::map<std::string, Place> places_;
    std::unique_ptr<ElfModule> elf_;
    std::unique_ptr<DebugUnits> units_;
};

/// One for all tests: compiling is most of the time.
class PlaceEvidence : public testing::Test {
  protected:
    static void SetUpTestSuite() { shared = std::make_unique<Placed>("gcc -O1"); }
    static void TearDownTestSuite() { shared.reset(); }
    void SetUp() override { ASSERT_TRUE(shared->built()); }

    static inline std::unique_ptr<Placed> shared;
    Placed& placed_ = *shared;
};

TEST_F(PlaceEvidence, AFunctionThatIsHandedAnObjectOfTheBlocksSizeNamesItsType) {
    EXPECT_EQ(placed_.initialised("init_account", account_bytes, 8), "known account::mutex");
    EXPECT_EQ(placed_.initialised("init_pair", pair_bytes, 0), "known pair::in");
    EXPECT_EQ(placed_.initialised("init_pair", pair_bytes, 40), "known pair::out");
    EXPECT_EQ(placed_.initialised("init_beside_plain", account_bytes, 8), "known account::mutex");
}

TEST_F(PlaceEvidence, TheBlockMayBeAnArrayOfSuch) {
    EXPECT_EQ(placed_.initialised("init_account", 7 * account_bytes, 3 * account_bytes + 8),
              "known account::mutex");
}

TEST_F(PlaceEvidence, APartOfSomethingBiggerIsSureWhereThereIsOneLockAbout) {
    EXPECT_EQ(placed_.initialised("init_account", 1000, 500), "known account::mutex");
    EXPECT_EQ(placed_.initialised("init_account", 0), "known account::mutex");
    EXPECT_EQ(placed_.initialised("init_pair", 1000, 500), "unknown") << "one of two members";
    EXPECT_EQ(placed_.initialised("init_user", 1000, 500), "unknown")
        << "its own, or that of what it points to";
    EXPECT_EQ(placed_.initialised("init_one_of_two", 1000, 500), "unknown");
    EXPECT_EQ(placed_.initialised("init_beside_plain", 1000, 500), "unknown")
        << "the first object may have it";
    EXPECT_EQ(placed_.initialised("init_beside_holder", 1000, 500), "unknown")
        << "that of what the other one points to";
}

TEST_F(PlaceEvidence, TypesOfOneSizeAreToldApartOnlyByWhereTheirLocksAre) {
    EXPECT_EQ(placed_.initialised("init_one_of_two", account_bytes, 8), "unknown");
    EXPECT_EQ(placed_.initialised("init_beside_client", account_bytes, 8), "known account::mutex")
        << "a client has no lock there";
    EXPECT_EQ(placed_.initialised("init_beside_client", account_bytes, 0), "known client::mutex");
}

TEST_F(PlaceEvidence, WrappersAreGoneThroughAndUntypedCodeIsNot) {
    EXPECT_EQ(placed_.initialised("wrapper", account_bytes, 8), "passed");
    EXPECT_EQ(placed_.initialised("init_untyped", account_bytes, 8), "unknown");
    EXPECT_EQ(placed_.initialised("in_inlined_wrapper", account_bytes, 0), "known client::mutex")
        << "by the function that it was inlined in";
    EXPECT_EQ(words(evidence_of_initialisation(
                  placed_.units(), {},
                  {.block_bytes = account_bytes, .offset_bytes = 8, .lock_bytes = lock_bytes})),
              "passed")
        << "nobody to be asked";
}

TEST_F(PlaceEvidence, AVariableOfTheFrameNamesItsType) {
    EXPECT_EQ(placed_.in_frame("in_frame"), "known account::mutex");
    EXPECT_EQ(placed_.in_frame("in_array"), "known account::mutex");
    EXPECT_EQ(placed_.in_frame("bare_in_frame"), "known ") << "of nothing";
    EXPECT_EQ(placed_.initialised("in_frame", 0), "known account::mutex");
    EXPECT_EQ(placed_.initialised("in_frame", account_bytes, 8), "unknown")
        << "a block of the heap is not in the frame";
}

TEST_F(PlaceEvidence, WhereNoVariableIsNothingIsKnown) {
    EXPECT_EQ(placed_.in_frame("in_frame", 1 << 20), "unknown");
    EXPECT_EQ(placed_.in_frame("in_frame", -(1 << 20)), "unknown");
    EXPECT_EQ(placed_.in_frame("in_frame", -8), "known ") << "no lock is there in the object";
}

TEST_F(PlaceEvidence, AllThatMayBeAtAPlaceOfTheFrameMustAgree) {
    if (!placed_.is_one_place("one", "other"))
        GTEST_SKIP() << "the compiler gave each variable a place of its own";
    EXPECT_EQ(placed_.in_frame("other"), "unknown");
}

TEST(PlaceEvidenceOfClang, KnowsFramesByTheirRegister) {
    if (std::system("command -v clang-19 >/dev/null") != 0) GTEST_SKIP() << "there is no clang-19";
    Placed placed("clang-19 -O0");
    ASSERT_TRUE(placed.built());
    EXPECT_EQ(placed.in_frame("in_frame"), "known account::mutex");
    EXPECT_EQ(placed.in_frame("in_array"), "known account::mutex");
    EXPECT_EQ(placed.in_frame("one"), "known ") << "the account's first word is no lock";
    EXPECT_EQ(placed.in_frame("other"), "known client::mutex");
    EXPECT_EQ(placed.initialised("init_account", account_bytes, 8), "known account::mutex");
}

}  // namespace
}  // namespace braidway::lockcheck
