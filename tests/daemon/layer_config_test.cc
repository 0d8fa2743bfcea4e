// SPDX-License-Identifier: Apache-2.0
#include "daemon/layer_config.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "daemon/words.h"

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

LayerConfig layer_of(LayerKind kind) {
    LayerConfig layer;
    layer.kind = kind;
    return layer;
}

std::vector<Command::Parameter> words(std::string_view text) {
    std::vector<Command::Parameter> parameters;
    for (const std::string& word : split_words(text, ' ')) {
        const size_t equals = word.find('=');
        parameters.push_back({word.substr(0, equals), word.substr(equals + 1)});
    }
    return parameters;
}

std::string error_of(LayerKind kind, std::string_view text) {
    LayerConfig layer = layer_of(kind);
    const LayerConfig before = layer;
    const Result<void> set = set_layer_parameters(layer, words(text));
    EXPECT_EQ(layer, before) << "a refused change changes nothing";
    if (set) return "accepted";
    EXPECT_EQ(set.error().code, EINVAL);
    return set.error().message;
}

TEST(LayerConfig, DelayTakesADurationForEachSortOfIo) {
    LayerConfig layer = layer_of(LayerKind::delay);
    ASSERT_TRUE(set_layer_parameters(layer, words("read=5ms write=1s flush=20us jitter=3ns")));
    EXPECT_EQ(layer.delay.read, 5ms);
    EXPECT_EQ(layer.delay.write, 1s);
    EXPECT_EQ(layer.delay.flush, 20us);
    EXPECT_EQ(layer.delay.other, 0s);
    EXPECT_EQ(layer_parameters_text(layer), "read=5ms write=1s flush=20us other=0s jitter=3ns");
}

TEST(LayerConfig, ErrorTakesClassOperationsBytesChanceAndCount) {
    LayerConfig layer = layer_of(LayerKind::error);
    ASSERT_TRUE(set_layer_parameters(
        layer, words("class=medium ops=read,write-zeroes offset=1M length=8s chance=10% count=3")));
    EXPECT_EQ(layer.error.status, IoStatus::medium);
    EXPECT_TRUE(layer.error.ops.has(IoOp::read));
    EXPECT_TRUE(layer.error.ops.has(IoOp::write_zeroes));
    EXPECT_FALSE(layer.error.ops.has(IoOp::write));
    EXPECT_EQ(layer.error.range, (block::ByteRange{1u << 20, 4096}));
    EXPECT_EQ(layer.error.chance_ppm, 100'000u);
    EXPECT_EQ(layer.error.count, 3u);
}

TEST(LayerConfig, BlocksAreOf512BytesAndInclusive) {
    LayerConfig layer = layer_of(LayerKind::error);
    ASSERT_TRUE(set_layer_parameters(layer, words("blocks=100-200")));
    EXPECT_EQ(layer.error.range, (block::ByteRange{51200, 101 * 512}));
    ASSERT_TRUE(set_layer_parameters(layer, words("blocks=7")));
    EXPECT_EQ(layer.error.range, (block::ByteRange{7 * 512, 512}));
}

TEST(LayerConfig, WhatIsNotNamedKeepsItsValue) {
    LayerConfig layer = layer_of(LayerKind::error);
    ASSERT_TRUE(set_layer_parameters(layer, words("class=medium count=3")));
    ASSERT_TRUE(set_layer_parameters(layer, words("class=transport")));
    EXPECT_EQ(layer.error.status, IoStatus::transport);
    EXPECT_EQ(layer.error.count, 3u);
    ASSERT_TRUE(set_layer_parameters(layer, words("count=all length=all")));
    EXPECT_EQ(layer.error.count, std::nullopt);
}

TEST(LayerConfig, TheTextOfALayerSetsTheSameLayer) {
    const std::pair<LayerKind, const char*> cases[] = {
        {LayerKind::delay, "read=1500us jitter=7ns"},
        {LayerKind::error, "class=transport ops=flush blocks=3-9 chance=0.25 count=12"},
        {LayerKind::flakey, "up=5s down=300ms class=resource ops=none drop_writes=true"},
        {LayerKind::flakey, "up=5s down=1s error_writes=true offset=3K length=5"},
        {LayerKind::linear, "offset=1G length=512M"},
    };
    for (const auto& [kind, text] : cases) {
        LayerConfig first = layer_of(kind);
        ASSERT_TRUE(set_layer_parameters(first, words(text))) << text;
        LayerConfig second = layer_of(kind);
        const Result<void> set = set_layer_parameters(second, words(layer_parameters_text(first)));
        ASSERT_TRUE(set) << layer_parameters_text(first) << ": " << set.error().message;
        EXPECT_EQ(first, second) << layer_parameters_text(first);
    }
}

TEST(LayerConfig, FlakeyFeaturesFailOnlyWhatTheyName) {
    LayerConfig layer = layer_of(LayerKind::flakey);
    ASSERT_TRUE(set_layer_parameters(layer, words("up=1s down=1s")));
    EXPECT_EQ(layer.flakey.ops, block::IoOpSet::all());
    ASSERT_TRUE(set_layer_parameters(layer, words("error_reads=true")));
    EXPECT_TRUE(layer.flakey.ops.has(IoOp::read));
    EXPECT_FALSE(layer.flakey.ops.has(IoOp::write));
    ASSERT_TRUE(set_layer_parameters(layer, words("drop_writes=true")));
    EXPECT_TRUE(layer.flakey.drop_writes);
    EXPECT_FALSE(layer.flakey.ops.has(IoOp::read)) << "what is not named works";
    ASSERT_TRUE(set_layer_parameters(layer, words("drop_writes=false")));
    EXPECT_EQ(layer.flakey.ops, block::IoOpSet::all()) << "no feature: everything fails";
}

TEST(LayerConfig, WrongValuesSayWhatWasExpected) {
    EXPECT_EQ(
        error_of(LayerKind::delay, "reed=5ms"),
        "reed: unknown parameter of a layer of kind delay (did you mean 'read'?); it has read, "
        "write, flush, other and jitter");
    EXPECT_EQ(error_of(LayerKind::delay, "read=5"),
              "read: '5' is not a duration; expected a number with a unit such as 500 us, 5 ms, "
              "60 s or 2 min");
    EXPECT_EQ(error_of(LayerKind::delay, "read=2h"),
              "read: '2h' is too long; expected at most 1 h");
    EXPECT_EQ(error_of(LayerKind::error, "class=mediun"),
              "class: 'mediun' is no error class (did you mean 'medium'?); expected one of "
              "not-supported, no-space, target, reservation-conflict, medium, protection, invalid, "
              "io, timeout, transport, resource, device-resource, again, offline, duration-limit, "
              "zone-resource");
    EXPECT_EQ(error_of(LayerKind::error, "ops=read,trim"),
              "ops: 'trim' is no operation; expected some of all, none, read, write, flush, "
              "discard, write-zeroes, block-status, cache");
    EXPECT_EQ(error_of(LayerKind::error, "blocks=9-3"),
              "blocks: '9-3' are no blocks; expected FIRST-LAST in blocks of 512 bytes, such as "
              "100-200");
    EXPECT_EQ(error_of(LayerKind::error, "chance=110%"),
              "chance: '110%' is no chance; expected 0 to 1 or 0 % to 100 %");
    EXPECT_EQ(error_of(LayerKind::error, "count=0"),
              "count: '0' is no count; expected a whole number from 1, or all");
    EXPECT_EQ(error_of(LayerKind::error, "length=0"),
              "length: '0' is no length; expected at least one byte, or all");
    EXPECT_EQ(error_of(LayerKind::flakey, "up=1s down=1s drop_writes=maybe"),
              "drop_writes: 'maybe': expected true or false");
}

TEST(LayerConfig, CombinationsWithoutSenseAreRefused) {
    EXPECT_EQ(error_of(LayerKind::error, "blocks=1-2 offset=3"),
              "blocks: give either blocks or offset and length");
    EXPECT_EQ(error_of(LayerKind::error, "offset=16383P length=16383P"),
              "length: offset and length together are too large");
    EXPECT_EQ(error_of(LayerKind::flakey, "class=io"),
              "up, down: a flakey layer needs them, such as up=5s down=1s");
    EXPECT_EQ(error_of(LayerKind::flakey, "up=1s down=1s ops=write drop_writes=true"),
              "drop_writes: writes are either dropped or answered with an error");
    EXPECT_EQ(error_of(LayerKind::flakey, "up=1s down=1s ops=write error_reads=true"),
              "error_reads: give either error_reads or ops");
}

TEST(LayerConfig, ACommandSwitchesAndSetsInOneStep) {
    LayerConfig off = layer_of(LayerKind::error);
    off.enabled = false;
    Command command;
    command.kind = Command::Kind::set_layer;
    command.layer = "error";
    command.parameters = words("class=offline");
    EXPECT_TRUE(change_layer(off, command)->enabled) << "parameters alone switch it on";
    command.enabled = false;
    EXPECT_FALSE(change_layer(off, command)->enabled);
    EXPECT_EQ(change_layer(off, command)->error.status, IoStatus::offline);
    EXPECT_EQ(change_layer(layer_of(LayerKind::linear), command).error().message,
              "a linear layer cannot be changed while it is in use");
    const LayerSnapshot snapshot = layer_snapshot(off);
    EXPECT_EQ(snapshot.kind, "error");
    EXPECT_FALSE(snapshot.enabled);
    EXPECT_EQ(snapshot.parameters, "class=io ops=all offset=0 length=all chance=1 count=all");
}

}  // namespace
}  // namespace braidway::daemon
