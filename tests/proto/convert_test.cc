// Wire <-> words: everything comes back as it went, and each kind of malformed field is refused by
// name.
#include "proto/convert.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::proto {
namespace convert_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::Prompt WirePrompt() {
  v1::Prompt wire;
  wire.set_id("sum3-17");
  wire.set_kind("math");
  auto* system = wire.add_messages();
  system->set_role("system");
  system->set_content("Think first.");
  auto* user = wire.add_messages();
  user->set_role("user");
  user->set_content("12+34=? é");
  wire.set_gold("46");
  wire.set_source("sum3");
  wire.set_difficulty(3);
  return wire;
}

v1::Lease WireLease() {
  v1::Lease wire;
  wire.mutable_key()->set_prompt_id("sum3-17");
  wire.mutable_key()->set_sample_index(9);
  wire.set_group_id(5);
  wire.set_attempt(2);
  wire.set_deadline_unix_ms(1700000000123);
  wire.set_least_version(4);
  return wire;
}

v1::Rollout WireRollout() {
  v1::Rollout wire;
  wire.mutable_key()->set_prompt_id("sum3-17");
  wire.mutable_key()->set_sample_index(9);
  wire.set_group_id(5);
  wire.set_attempt(2);
  for (int token : {259, 49, 43}) wire.add_prompt_tokens(token);
  for (int token : {257, 0, 258, 256}) wire.add_tokens(token);
  for (float logprob : {-0.5f, 0.0f, -1.25f, 0.0005f}) wire.add_logprobs(logprob);
  auto* first = wire.add_segments();
  first->set_weight_version(4);
  auto* second = wire.add_segments();
  second->set_weight_version(5);
  second->set_first_token(2);
  second->set_kv_version(4);
  wire.set_stop_reason(v1::STOP_REASON_END_OF_SEQUENCE);
  wire.set_generate_seconds(0.75);
  return wire;
}

v1::Verdict WireVerdict() {
  v1::Verdict wire;
  wire.set_outcome(v1::Verdict::CORRECT);
  wire.set_extracted("46");
  wire.set_reason("equal");
  wire.set_detail("AC");
  wire.set_cost_seconds(0.001);
  return wire;
}

v1::WeightManifest WireManifest() {
  v1::WeightManifest wire;
  wire.set_version(7);
  auto* matrix = wire.add_tensors();
  matrix->set_name("model.embed_tokens.weight");
  matrix->set_dtype(v1::F32);
  matrix->add_shape(4);
  matrix->add_shape(3);
  matrix->set_end(48);
  matrix->set_crc32(0xFFFFFFFFu);
  auto* vector = wire.add_tensors();
  vector->set_name("model.norm.weight");
  vector->set_dtype(v1::BF16);
  vector->add_shape(3);
  vector->set_begin(64);
  vector->set_end(70);
  wire.set_total_bytes(70);
  return wire;
}

// Word for word: the bytes on the wire are the same after a trip through the words.
template <typename Wire>
void ExpectRoundTrip(const Wire& wire) {
  const auto words = FromWire(wire);
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_EQ(ToWire(*words).SerializeAsString(), wire.SerializeAsString());
}

TEST(Convert, RoundTrips) {
  ExpectRoundTrip(WirePrompt());
  ExpectRoundTrip(WireLease());
  ExpectRoundTrip(WireRollout());
  ExpectRoundTrip(WireVerdict());
  ExpectRoundTrip(WireManifest());
}

TEST(Convert, WordsMeanWhatTheWireSays) {
  const auto prompt = FromWire(WirePrompt());
  ASSERT_TRUE(prompt.ok());
  EXPECT_EQ(prompt->id, "sum3-17");
  EXPECT_EQ(prompt->kind, "math");
  ASSERT_EQ(prompt->messages.size(), 2u);
  EXPECT_EQ(prompt->messages[1].role, "user");
  EXPECT_EQ(prompt->messages[1].content, "12+34=? é");
  EXPECT_EQ(prompt->gold, "46");
  EXPECT_EQ(prompt->source, "sum3");
  EXPECT_EQ(prompt->difficulty, 3);

  const auto lease = FromWire(WireLease());
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->key, (SampleKey{"sum3-17", 9}));
  EXPECT_EQ(lease->group_id, 5);
  EXPECT_EQ(lease->attempt, 2);
  EXPECT_EQ(lease->deadline_unix_ms, 1700000000123);
  EXPECT_EQ(lease->least_version, 4);

  const auto rollout = FromWire(WireRollout());
  ASSERT_TRUE(rollout.ok());
  EXPECT_EQ(rollout->prompt_tokens, (std::vector<int32_t>{259, 49, 43}));
  EXPECT_EQ(rollout->tokens, (std::vector<int32_t>{257, 0, 258, 256}));
  EXPECT_EQ(rollout->logprobs, (std::vector<float>{-0.5f, 0.0f, -1.25f, 0.0005f}));
  ASSERT_EQ(rollout->segments.size(), 2u);
  EXPECT_EQ(rollout->segments[1].weight_version, 5);
  EXPECT_EQ(rollout->segments[1].first_token, 2);
  EXPECT_EQ(rollout->segments[1].kv_version, 4);
  EXPECT_EQ(rollout->segments[0].kv_version, 4) << "absent: that of the weights";
  EXPECT_EQ(rollout->stop_reason, StopReason::kEndOfSequence);
  EXPECT_EQ(rollout->generate_seconds, 0.75);

  const auto manifest = FromWire(WireManifest());
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->version, 7);
  EXPECT_EQ(manifest->tensors[0].crc32, 0xFFFFFFFFu);
  EXPECT_EQ(manifest->tensors[1].dtype, DType::kBF16);
  EXPECT_EQ(manifest->tensors[1].shape, std::vector<int64_t>{3});
  EXPECT_EQ(manifest->tensors[1].begin, 64u);
  EXPECT_EQ(manifest->total_bytes, 70u);
}

TEST(Convert, EveryEnumValueRoundTrips) {
  for (int outcome = v1::Verdict::CORRECT; outcome <= v1::Verdict::SCORED; ++outcome) {
    v1::Verdict wire = WireVerdict();
    wire.set_outcome(static_cast<v1::Verdict::Outcome>(outcome));
    wire.set_score(-0.25);
    ExpectRoundTrip(wire);
  }
  v1::Rollout cut = WireRollout();
  cut.set_stop_reason(v1::STOP_REASON_LENGTH);
  ExpectRoundTrip(cut);
  for (const auto& [dtype, bytes] : std::vector<std::pair<v1::DType, int>>{
           {v1::F32, 4}, {v1::BF16, 2}, {v1::F16, 2}, {v1::I64, 8}}) {
    v1::WeightManifest wire = WireManifest();
    wire.mutable_tensors(1)->set_dtype(dtype);
    wire.mutable_tensors(1)->set_end(64 + 3 * bytes);
    wire.set_total_bytes(100);
    ExpectRoundTrip(wire);
  }
}

TEST(Convert, OutcomesKeepTheirNames) {
  for (int outcome = v1::Verdict::CORRECT; outcome <= v1::Verdict::SCORED; ++outcome) {
    v1::Verdict wire = WireVerdict();
    wire.set_outcome(static_cast<v1::Verdict::Outcome>(outcome));
    wire.set_score(0);
    std::string name = v1::Verdict::Outcome_Name(wire.outcome());
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(OutcomeName(FromWire(wire)->outcome), name);
  }
}

// Breaks one field of a good message and expects it to be refused with a message that begins with
// the field's path.
template <typename Wire>
struct Break {
  std::string field;
  std::function<void(Wire&)> apply;
  std::string says = "";
};

template <typename Wire>
void ExpectRefused(const Wire& good, const std::vector<Break<Wire>>& breaks) {
  ASSERT_TRUE(FromWire(good).ok());
  for (const Break<Wire>& broken : breaks) {
    Wire wire = good;
    broken.apply(wire);
    const auto words = FromWire(wire);
    ASSERT_FALSE(words.ok()) << broken.field << " was let through";
    EXPECT_EQ(words.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(words.status().message()), StartsWith(broken.field + ": "));
    EXPECT_THAT(std::string(words.status().message()), HasSubstr(broken.says));
  }
}

TEST(Convert, RefusesMalformedPrompts) {
  ExpectRefused<v1::Prompt>(WirePrompt(),
                            {{"prompt.id", [](auto& p) { p.clear_id(); }},
                             {"prompt.kind", [](auto& p) { p.clear_kind(); }, "sum3-17"},
                             {"prompt.messages", [](auto& p) { p.clear_messages(); }, "sum3-17"},
                             {"prompt.messages[1].role",
                              [](auto& p) { p.mutable_messages(1)->set_role("robot"); }, "robot"}});
}

TEST(Convert, RefusesMalformedLeases) {
  ExpectRefused<v1::Lease>(
      WireLease(),
      {{"lease.key.prompt_id", [](auto& l) { l.clear_key(); }},
       {"lease.key.sample_index", [](auto& l) { l.mutable_key()->set_sample_index(-1); }, "-1"},
       {"lease.group_id", [](auto& l) { l.set_group_id(-2); }, "-2"},
       {"lease.attempt", [](auto& l) { l.set_attempt(-3); }, "-3"},
       {"lease.deadline_unix_ms", [](auto& l) { l.set_deadline_unix_ms(-4); }, "-4"},
       {"lease.least_version", [](auto& l) { l.set_least_version(-5); }, "-5"}});
}

TEST(Convert, RefusesMalformedRollouts) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  using R = v1::Rollout;
  ExpectRefused<R>(
      WireRollout(),
      {{"rollout.key.prompt_id", [](R& r) { r.mutable_key()->clear_prompt_id(); }},
       {"rollout.key.sample_index", [](R& r) { r.mutable_key()->set_sample_index(-1); }},
       {"rollout.group_id", [](R& r) { r.set_group_id(-1); }},
       {"rollout.attempt", [](R& r) { r.set_attempt(-1); }},
       {"rollout.prompt_tokens", [](R& r) { r.clear_prompt_tokens(); }},
       {"rollout.prompt_tokens[2]", [](R& r) { r.set_prompt_tokens(2, -7); }, "-7"},
       {"rollout.tokens", [](R& r) { r.clear_tokens(); }},
       {"rollout.tokens[1]", [](R& r) { r.set_tokens(1, -1); }, "-1"},
       {"rollout.logprobs", [](R& r) { r.add_logprobs(-1); }, "5 of them for 4 tokens"},
       {"rollout.logprobs", [](R& r) { r.mutable_logprobs()->RemoveLast(); }},
       {"rollout.logprobs[3]", [=](R& r) { r.set_logprobs(3, nan); }, "nan is not finite"},
       {"rollout.logprobs[0]", [=](R& r) { r.set_logprobs(0, -infinity); }, "not finite"},
       {"rollout.logprobs[0]", [](R& r) { r.set_logprobs(0, 0.002f); }, "0.002"},
       {"rollout.segments", [](R& r) { r.clear_segments(); }},
       {"rollout.segments[0].first_token", [](R& r) { r.mutable_segments(0)->set_first_token(1); }},
       {"rollout.segments[1].first_token", [](R& r) { r.mutable_segments(1)->set_first_token(0); }},
       {"rollout.segments[1].first_token", [](R& r) { r.mutable_segments(1)->set_first_token(4); },
        "4 tokens"},
       {"rollout.segments[1].kv_version", [](R& r) { r.mutable_segments(1)->set_kv_version(6); }},
       {"rollout.segments[0].weight_version",
        [](R& r) { r.mutable_segments(0)->set_weight_version(-1); }},
       {"rollout.segments[1].weight_version",
        [](R& r) { r.mutable_segments(1)->set_weight_version(3); }},
       {"rollout.stop_reason", [](R& r) { r.clear_stop_reason(); }},
       {"rollout.stop_reason", [](R& r) { r.set_stop_reason(static_cast<v1::StopReason>(9)); },
        "9"},
       {"rollout.generate_seconds", [=](R& r) { r.set_generate_seconds(nan); }},
       {"rollout.generate_seconds", [](R& r) { r.set_generate_seconds(-1); }}});
}

TEST(Convert, RefusesMalformedVerdicts) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  using V = v1::Verdict;
  ExpectRefused<V>(
      WireVerdict(),
      {{"verdict.outcome", [](V& v) { v.clear_outcome(); }},
       {"verdict.outcome", [](V& v) { v.set_outcome(static_cast<V::Outcome>(77)); }, "77"},
       {"verdict.cost_seconds", [=](V& v) { v.set_cost_seconds(nan); }},
       {"verdict.cost_seconds", [](V& v) { v.set_cost_seconds(-0.5); }, "-0.5"},
       {"verdict.score", [=](V& v) { v.set_score(nan); }, "nan"},
       {"verdict.score", [](V& v) { v.set_outcome(V::SCORED); }, "missing"}});
}

TEST(Convert, RefusesMalformedManifests) {
  using M = v1::WeightManifest;
  constexpr int64_t kHuge = int64_t{1} << 62;
  ExpectRefused<M>(
      WireManifest(),
      {{"manifest.version", [](M& m) { m.set_version(-1); }},
       {"manifest.tensors[0].name", [](M& m) { m.mutable_tensors(0)->clear_name(); }},
       {"manifest.tensors[1].name",
        [](M& m) { m.mutable_tensors(1)->set_name("model.embed_tokens.weight"); }, "twice"},
       {"manifest.tensors[0].dtype", [](M& m) { m.mutable_tensors(0)->clear_dtype(); }},
       {"manifest.tensors[0].shape[1]", [](M& m) { m.mutable_tensors(0)->set_shape(1, -3); }},
       {"manifest.tensors[0].shape[1]", [](M& m) { m.mutable_tensors(0)->set_shape(1, kHuge); },
        "2^64"},
       {"manifest.tensors[0].end", [](M& m) { m.mutable_tensors(0)->set_end(44); }, "need 48"},
       {"manifest.tensors[1].end", [](M& m) { m.mutable_tensors(1)->set_begin(71); }},
       {"manifest.tensors[1].begin",
        [](M& m) {
          m.mutable_tensors(1)->set_begin(47);
          m.mutable_tensors(1)->set_end(53);
        },
        "ends at 48"},
       {"manifest.tensors[1].end", [](M& m) { m.set_total_bytes(69); }, "69"}});
}

// 2^62 * 2^2 wraps to 0, which would otherwise match an empty range.
TEST(Convert, AShapeThatWrapsAroundIsNotEmpty) {
  v1::WeightManifest wire = WireManifest();
  auto* tensor = wire.mutable_tensors(0);
  tensor->set_shape(0, int64_t{1} << 31);
  tensor->set_shape(1, int64_t{1} << 31);
  tensor->set_end(0);
  EXPECT_FALSE(FromWire(wire).ok());
}

TEST(Convert, MendsTextThatIsNotUtf8) {
  EXPECT_EQ(ValidUtf8("plain, é, 漢, 😀"), "plain, é, 漢, 😀");
  EXPECT_EQ(ValidUtf8("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(ValidUtf8("\xC0\xAF"), "\uFFFD\uFFFD");                 // overlong
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");       // surrogate
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80").substr(0, 3), "\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(ValidUtf8("cut \xE6\xBC"), "cut \uFFFD\uFFFD");
  Verdict verdict;
  verdict.extracted = "4\x80";
  v1::Verdict parsed;
  EXPECT_TRUE(parsed.ParseFromString(ToWire(verdict).SerializeAsString()));
  EXPECT_EQ(parsed.extracted(), "4\uFFFD");
}

}  // namespace convert_test
}  // namespace ponder::proto
