#include "proto/config.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/config_keys.h"
#include "proto/options.pb.h"

namespace ponder {
namespace config_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Error(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  const auto config = ParseConfig(yaml, "x.yaml", overrides);
  return config.ok() ? "no error" : std::string(config.status().message());
}

TEST(Config, ReadsEveryTypeAndKeepsTheOtherDefaults) {
  const auto config = ParseConfig(
      "seed: 18446744073709551615\n"
      "model: {use_qk_norm: false}\n"
      "rl:\n  steps: 7\n  clip_high: 3e-1\n"
      "data:\n  system_prompt: 'Think: first'\n  prompts: 007\n",
      "x.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->seed(), UINT64_MAX);
  EXPECT_FALSE(config->model().use_qk_norm());
  EXPECT_EQ(config->rl().steps(), 7);
  EXPECT_EQ(config->rl().clip_high(), 0.3);
  EXPECT_EQ(config->rl().clip_low(), 0.2);
  EXPECT_EQ(config->data().system_prompt(), "Think: first");
  EXPECT_EQ(config->data().prompts(), "007");
}

TEST(Config, EmptyFileAndEmptySectionsAreTheDefaults) {
  for (const char* yaml : {"", "# nothing\n", "---\n", "rl:\n", "rl:\n  # steps: 3\nseed: 1\n"}) {
    const auto config = ParseConfig(yaml, "x.yaml", {});
    ASSERT_TRUE(config.ok()) << yaml << config.status();
    EXPECT_EQ(PrintConfig(*config), PrintConfig(v1::Config())) << yaml;
  }
}

TEST(Config, UnknownKeyNamesTheNearestRightOne) {
  EXPECT_EQ(Error("seed: 1\nrl:\n  stepz: 3\n"),
            "x.yaml:3: unknown key rl.stepz, did you mean 'rl.steps'?");
  EXPECT_EQ(Error("learner:\n  optimizer:\n    wieght_decay: 0\n"),
            "x.yaml:3: unknown key learner.optimizer.wieght_decay, did you mean "
            "'learner.optimizer.weight_decay'?");
  EXPECT_EQ(Error("sed: 1\n"), "x.yaml:1: unknown key sed, did you mean 'seed'?");
  EXPECT_EQ(
      Error("learner:\n  weight_decay: 0\n"),
      "x.yaml:2: unknown key learner.weight_decay, did you mean 'learner.optimizer.weight_decay'?");
  EXPECT_EQ(Error("moodel:\n  seed: 1\n"), "x.yaml:1: unknown key moodel, did you mean 'model'?");
  EXPECT_THAT(Error("qwertyuiop: 1\n"),
              StartsWith("x.yaml:1: unknown key qwertyuiop, see the keys with"));
  EXPECT_THAT(Error("<<: 1\n"), StartsWith("x.yaml:1: unknown key <<"));
  EXPECT_EQ(Error("rl.steps: 3\n"),
            "x.yaml:1: unknown key 'rl.steps': in a file, write each section on a line of its own");
}

TEST(Config, WrongTypeSaysWhatWasExpectedAndFound) {
  EXPECT_EQ(Error("rl:\n  steps: many\n"),
            "x.yaml:2: key rl.steps must be a whole number, not 'many'");
  EXPECT_EQ(Error("rl: {steps: 1.5}"), "x.yaml:1: key rl.steps must be a whole number, not '1.5'");
  EXPECT_EQ(Error("rl: {steps: '3'}"),
            "x.yaml:1: key rl.steps must be a whole number, not the text \"3\"");
  EXPECT_EQ(Error("rl: {steps: 0x10}"),
            "x.yaml:1: key rl.steps must be a whole number, not '0x10'");
  EXPECT_EQ(Error("rl: {steps: }"), "x.yaml:1: key rl.steps must be a whole number, not nothing");
  EXPECT_EQ(Error("rl: {steps: [1]}"), "x.yaml:1: key rl.steps must be a whole number, not a list");
  EXPECT_EQ(Error("rl: {dynamic_sampling: yes}"),
            "x.yaml:1: key rl.dynamic_sampling must be true or false, not 'yes'");
  EXPECT_EQ(Error("rl: 3"), "x.yaml:1: key rl must be a section of keys, not '3'");
  EXPECT_EQ(Error("seed: {a: 1}"),
            "x.yaml:1: key seed must be a whole number of at least 0, not a section of keys");
  EXPECT_EQ(Error("seed: -1"), "x.yaml:1: key seed must be a whole number of at least 0, not '-1'");
  EXPECT_EQ(Error("learner: {optimizer: {lr: fast}}"),
            "x.yaml:1: key learner.optimizer.lr must be a finite number, not 'fast'");
  EXPECT_THAT(Error("rl: {steps: !!int 3}"), HasSubstr("x.yaml:1: key rl.steps has the YAML tag"));
}

TEST(Config, NumbersMustBeFiniteAndFit) {
  EXPECT_EQ(Error("rl: {steps: 9223372036854775808}"),
            "x.yaml:1: key rl.steps must be a whole number, not '9223372036854775808', which does "
            "not fit 64 bits");
  EXPECT_EQ(Error("seed: 18446744073709551616"),
            "x.yaml:1: key seed must be a whole number of at least 0, not '18446744073709551616', "
            "which does not fit "
            "64 bits");
  for (const char* number :
       {"nan", "NaN", ".nan", "inf", "-inf", ".inf", "1e999", "-1e999", "infinity"}) {
    EXPECT_THAT(Error(absl::StrCat("rl: {temperature: ", number, "}")),
                StartsWith("x.yaml:1: key rl.temperature must be a finite number"))
        << number;
  }
}

TEST(Config, ValuesOutOfBounds) {
  EXPECT_EQ(Error("rl:\n  steps: -1\n"), "x.yaml:2: key rl.steps must be at least 0, not -1");
  EXPECT_EQ(Error("rl: {clip_low: 1.5}"), "x.yaml:1: key rl.clip_low must be at most 1, not 1.5");
  EXPECT_EQ(Error("rl: {temperature: 0}"),
            "x.yaml:1: key rl.temperature must be more than 0, not 0");
  EXPECT_EQ(Error("model: {scoring_func: relu}"),
            "x.yaml:1: key model.scoring_func must be one of softmax, sigmoid, not \"relu\"");
}

TEST(Config, KeyGivenTwice) {
  EXPECT_EQ(Error("seed: 1\nrl:\n  steps: 1\n  steps: 2\n"),
            "x.yaml:4: key rl.steps is given twice, first at x.yaml:3");
  EXPECT_EQ(Error("rl: {steps: 1}\nrl: {steps: 2}\n"),
            "x.yaml:2: key rl is given twice, first at x.yaml:1");
}

TEST(Config, BadYaml) {
  EXPECT_EQ(Error("rl:\n\tsteps: 3\n"), "x.yaml:2: the line is indented with a tab; use spaces");
  EXPECT_THAT(Error("rl:\n  steps: 3\n bad: 4\n"), StartsWith("x.yaml:3: not valid YAML: "));
  EXPECT_THAT(Error("rl: [1\n"), HasSubstr("not valid YAML: "));
  EXPECT_THAT(Error("just words"), StartsWith("x.yaml:1: a config is a map of keys"));
  EXPECT_THAT(Error("- 1\n- 2\n"), StartsWith("x.yaml:1: a config is a map of keys"));
  EXPECT_EQ(Error("seed: 1\n---\nseed: 2\n"),
            "x.yaml:2: stray text or a second document; a config is one map of keys");
  EXPECT_THAT(Error("{seed: 1}\nrl: {steps: 3}\n"), StartsWith("x.yaml:2: stray text or a second"));
  EXPECT_THAT(Error("seed: 1\n---\n"), StartsWith("x.yaml:2: stray text or a second"));
  // yaml-cpp finds documents without end in these.
  for (const char* endless : {", x", ",", "? , x\n}", "&a ,"}) {
    EXPECT_NE(Error(endless), "no error") << endless;
  }
  EXPECT_EQ(Error("seed: 1\n...\n# the end\n"), "no error");
  EXPECT_EQ(Error("seed: 1\ndata: {prompts: \"\xff\"}"),
            "x.yaml:2: the line is not valid UTF-8; save the file as UTF-8");
  EXPECT_EQ(Error("? [a]\n: 1\n"), "x.yaml:1: a key must be a plain word");
  EXPECT_THAT(Error("a\\nb: 1\n\"c\\nd\": 1\n"), ::testing::Not(HasSubstr("\n")));
  EXPECT_THAT(Error("seed: \"\\\t\""), ::testing::Not(HasSubstr("\t")));
  EXPECT_THAT(Error(std::string(100000, '[')), HasSubstr("not valid YAML"));
}

TEST(Config, OverridesApplyInOrderAfterTheFile) {
  const auto config = ParseConfig("rl: {steps: 3}", "x.yaml",
                                  {"rl.steps=4", "rl.steps=5", "learner.optimizer.lr=1e-6",
                                   "data.system_prompt=a=b: c", "data.prompts="});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rl().steps(), 5);
  EXPECT_EQ(config->learner().optimizer().lr(), 1e-6);
  EXPECT_EQ(config->data().system_prompt(), "a=b: c");
  EXPECT_EQ(config->data().prompts(), "");
}

TEST(Config, BadOverridesAreReportedAsGiven) {
  EXPECT_EQ(Error("", {"learner.optimizer.lrr=1"}),
            "--set learner.optimizer.lrr=1: unknown key learner.optimizer.lrr, did you mean "
            "'learner.optimizer.lr'?");
  EXPECT_EQ(Error("", {"lr=1"}), "--set lr=1: unknown key lr, did you mean 'sft.lr'?");
  EXPECT_EQ(Error("", {"rl.steps=x"}),
            "--set rl.steps=x: key rl.steps must be a whole number, not 'x'");
  EXPECT_EQ(Error("", {"rl.steps="}),
            "--set rl.steps=: key rl.steps must be a whole number, not ''");
  EXPECT_EQ(Error("", {"rl.steps= 3"}),
            "--set rl.steps= 3: key rl.steps must be a whole number, not ' 3'");
  EXPECT_EQ(Error("", {"rl.steps=-3"}),
            "--set rl.steps=-3: key rl.steps must be at least 0, not -3");
  EXPECT_EQ(Error("", {"rl.steps"}),
            "--set rl.steps: write key=value, such as learner.optimizer.lr=1e-4");
  EXPECT_EQ(Error("", {"rl=3"}),
            "--set rl=3: key rl is a section; set one of its keys, such as rl.steps");
  EXPECT_THAT(Error("", {"rl.steps.x=3"}),
              StartsWith("--set rl.steps.x=3: unknown key rl.steps.x"));
  EXPECT_THAT(Error("", {"rl..steps=3"}), StartsWith("--set rl..steps=3: unknown key rl..steps"));
  EXPECT_THAT(Error("", {".=3"}), StartsWith("--set .=3: unknown key"));
  // A good override mends a bad file.
  EXPECT_TRUE(ParseConfig("rl: {steps: -1}", "x.yaml", {"rl.steps=1"}).ok());
}

struct Clash {
  const char* override;
  const char* error;
};

TEST(Config, ValuesThatMustFitEachOther) {
  const Clash clashes[] = {
      {"model.num_key_value_heads=3",
       "model.num_key_value_heads = 3 must divide model.num_attention_heads = 4"},
      {"model.head_dim=31", "model.head_dim = 31 must be even"},
      {"model.num_experts_per_tok=9",
       "model.num_experts_per_tok = 9 must not exceed model.num_experts = 8"},
      {"model.first_k_dense_replace=5",
       "model.first_k_dense_replace = 5 must not exceed model.num_hidden_layers = 4"},
      {"data.max_prompt_tokens=417",
       "data.max_prompt_tokens = 417 + rl.max_response_tokens = 96 must not exceed "
       "model.max_position_embeddings = 512"},
      {"learner.max_tokens_per_microbatch=351",
       "must not exceed learner.max_tokens_per_microbatch = 351"},
      {"sft.min_lr=0.1", "sft.min_lr = 0.1 must not exceed sft.lr = 0.001"},
      {"rl.overlong_cache=96",
       "rl.overlong_cache = 96 must be less than rl.max_response_tokens = 96"},
      {"rl.minibatches=49", "rl.minibatches = 49 must not exceed rl.groups_per_step = 48"},
      {"rl.group_size=1", "rl.group_size = 1 is too small for rl.dynamic_sampling = true"},
      {"rl.ratio_correction=mask",
       "rl.ratio_correction = \"mask\" needs rl.proximal = \"behaviour\""},
      {"rl.value.pretrain_steps=3", "rl.value.pretrain_steps = 3 needs rl.advantage = \"grpo\""},
      {"learner.expert_parallel=2", "learner.expert_parallel = 2 must divide learner.ranks = 1"},
      {"learner.listen=localhost", "learner.listen = \"localhost\" must be host:port"},
      {"learner.listen=localhost:65536", "must be host:port"},
      {"verifier.address=:1", "verifier.address = \":1\" must be host:port"},
  };
  for (const Clash& clash : clashes) {
    EXPECT_THAT(Error("", {clash.override}),
                StartsWith(absl::StrCat("--set ", clash.override, ": key ")));
    EXPECT_THAT(Error("", {clash.override}), HasSubstr(clash.error));
  }
  // What a run's own verifier is to ask is not lost on another's.
  for (const char* key : {"reward_model=rm", "reward_url=http://h:1"}) {
    EXPECT_THAT(Error("", {"verifier.address=h:1", absl::StrCat("verifier.", key)}),
                HasSubstr("does not go with verifier.address = \"h:1\""));
  }
  EXPECT_THAT(Error("", {"verifier.address=h:1", "verifier.judge_url=http://h:2",
                         "verifier.judge_model=m"}),
              HasSubstr("does not go with verifier.address"));
  EXPECT_THAT(Error("", {"verifier.judge_model=m"}),
              HasSubstr("verifier.judge_url = \"\" + verifier.judge_model = \"m\" go together"));
  EXPECT_THAT(Error("", {"verifier.reward_model=rm", "verifier.reward_url=http://h:1"}),
              HasSubstr("does not go with verifier.reward_model = \"rm\""));
  EXPECT_THAT(
      Error("learner:\n  ranks: 3\n  expert_parallel: 3\n"),
      StartsWith("x.yaml:3: key learner.expert_parallel = 3 must divide model.num_experts = 8: "));
  EXPECT_THAT(Error("model: {num_hidden_layers: 1000, num_key_value_heads: 4, head_dim: 128}"),
              HasSubstr("key actor.kv_cache_mib = 256 is too small"));
  // On the border they hold.
  EXPECT_EQ(Error("", {"data.max_prompt_tokens=416", "rl.overlong_cache=95", "rl.minibatches=48",
                       "learner.ranks=4", "learner.expert_parallel=4",
                       "verifier.address=[::1]:65535", "sft.min_lr=1e-3"}),
            "no error");
}

TEST(Config, CheckConfigSeesWhatLoadConfigSees) {
  v1::Config config;
  EXPECT_TRUE(CheckConfig(config).ok());
  config.mutable_rl()->set_steps(-1);
  EXPECT_EQ(CheckConfig(config).message(), "key rl.steps must be at least 0, not -1");
}

TEST(Config, ARecipeSetsTheKeysThatNobodyGave) {
  auto config =
      ParseConfig("rl: {algorithm: vapo, clip_high: 0.3}", "x.yaml", {"rl.gae_length_alpha=2"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rl().advantage(), "gae");
  EXPECT_EQ(config->rl().positive_nll_coef(), 0.1);
  EXPECT_EQ(config->rl().clip_high(), 0.3) << "given in the file";
  EXPECT_EQ(config->rl().gae_length_alpha(), 2) << "given after --set";
  EXPECT_FALSE(config->rl().dynamic_sampling());
  // The file of an earlier run spells out its recipe; another one after --set is meant whole.
  config = ParseConfig(PrintConfig(*config), "x.yaml", {"rl.algorithm=gspo", "rl.kl_coef=0.5"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rl().policy_loss(), "gspo");
  EXPECT_EQ(config->rl().advantage(), "grpo");
  EXPECT_EQ(config->rl().clip_high(), 4e-4);
  EXPECT_EQ(config->rl().kl_coef(), 0.5);
  EXPECT_EQ(config->rl().value().pretrain_steps(), 0);
}

TEST(Config, EveryRecipeIsSound) {
  const auto& names = v1::RlConfig::descriptor()
                          ->FindFieldByName("algorithm")
                          ->options()
                          .GetRepeatedExtension(v1::one_of);
  EXPECT_EQ(names.size(), 10);
  for (const std::string& name : names) {
    const auto config = ParseConfig("", "x.yaml", {absl::StrCat("rl.algorithm=", name)});
    ASSERT_TRUE(config.ok()) << config.status();
    if (name != "dapo") {
      v1::Config others = *config;
      others.mutable_rl()->clear_algorithm();
      EXPECT_NE(PrintConfig(others), PrintConfig(v1::Config())) << name << " is not in the table";
    }
  }
}

TEST(Config, PrintedConfigReadsBackTheSame) {
  const auto config =
      ParseConfig("", "x.yaml",
                  {"seed=18446744073709551615", "learner.optimizer.lr=1.2345678901234567e-7",
                   "rl.temperature=0.1", "model.use_qk_norm=false",
                   "data.system_prompt=\"quoted\": # \\ \n\ttab \x01 \x7f \xc3\xa4 "
                   "\xf0\x9f\x98\x80 \xe2\x80\xa8",
                   "data.prompts=null", "data.eval_prompts=- x"});
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string printed = PrintConfig(*config);
  const auto again = ParseConfig(printed, "printed.yaml", {});
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << printed;
  EXPECT_EQ(PrintConfig(*again), printed);
  EXPECT_EQ(again->data().system_prompt(), config->data().system_prompt());
  EXPECT_EQ(again->learner().optimizer().lr(), config->learner().optimizer().lr());
  EXPECT_EQ(again->seed(), config->seed());
  // Each key of the schema is there, sections included.
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'),
            static_cast<int64_t>(ConfigKeys().size()));
}

TEST(Config, TheShippedFilesAreSound) {
  EXPECT_TRUE(LoadConfig("", {}).ok());
  const auto quickstart = LoadConfig(PONDER_SOURCE_DIR "/configs/quickstart.yaml", {});
  EXPECT_TRUE(quickstart.ok()) << quickstart.status();
}

TEST(Config, MissingFileIsNamed) {
  const auto config = LoadConfig("/nowhere/x.yaml", {});
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("/nowhere/x.yaml"));
}

// Sums and products of what the bounds allow fit 64 bits, so that the checks of combinations can't
// overflow.
void ExpectUpperBounds(const google::protobuf::Descriptor& section) {
  for (int i = 0; i < section.field_count(); ++i) {
    const auto& field = *section.field(i);
    if (field.message_type() != nullptr) ExpectUpperBounds(*field.message_type());
    if (field.cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_INT64) continue;
    EXPECT_TRUE(field.options().HasExtension(v1::min)) << field.full_name();
    EXPECT_TRUE(field.options().HasExtension(v1::max)) << field.full_name();
    EXPECT_LE(field.options().GetExtension(v1::max), 1e9) << field.full_name();
  }
}

TEST(Config, EveryWholeNumberIsBounded) { ExpectUpperBounds(*v1::Config::descriptor()); }

TEST(ConfigKeys, EveryKeyButOneLetterIsFound) {
  for (const std::string& key : ConfigKeys()) {
    std::string wrong = key;
    wrong.back() = wrong.back() == 'x' ? 'y' : 'x';
    const std::string nearest = NearestConfigKey(wrong);
    EXPECT_FALSE(nearest.empty()) << key;
    EXPECT_EQ(nearest.substr(0, nearest.rfind('.') + 1), key.substr(0, key.rfind('.') + 1))
        << key << " " << nearest;
  }
}

}  // namespace config_test
}  // namespace ponder
