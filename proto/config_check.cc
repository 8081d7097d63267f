#include "proto/config_check.h"

#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "proto/config_value.h"
#include "proto/options.pb.h"

namespace ponder {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using MaybeProblem = std::optional<ConfigProblem>;

// What bound of its field a number breaks, as "must be ...", or "".
std::string BrokenBound(const FieldDescriptor& field, double value) {
  const auto& options = field.options();
  if (!std::isfinite(value)) return "must be a finite number";
  if (options.HasExtension(v1::min) && value < options.GetExtension(v1::min)) {
    return absl::StrCat("must be at least ", NumberText(options.GetExtension(v1::min)));
  }
  if (options.HasExtension(v1::max) && value > options.GetExtension(v1::max)) {
    return absl::StrCat("must be at most ", NumberText(options.GetExtension(v1::max)));
  }
  if (options.HasExtension(v1::more_than) && value <= options.GetExtension(v1::more_than)) {
    return absl::StrCat("must be more than ", NumberText(options.GetExtension(v1::more_than)));
  }
  return "";
}

std::string BrokenChoice(const FieldDescriptor& field, const std::string& value) {
  const auto& repeated = field.options().GetRepeatedExtension(v1::one_of);
  const std::vector<std::string> choices(repeated.begin(), repeated.end());
  if (choices.empty() || absl::c_linear_search(choices, value)) return "";
  return absl::StrCat("must be one of ", absl::StrJoin(choices, ", "));
}

MaybeProblem FindOutOfBounds(const Message& section, const std::string& prefix) {
  const auto& reflection = *section.GetReflection();
  for (int i = 0; i < section.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *section.GetDescriptor()->field(i);
    const std::string key = absl::StrCat(prefix, field.name());
    std::string broken;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        MaybeProblem problem =
            FindOutOfBounds(reflection.GetMessage(section, &field), absl::StrCat(key, "."));
        if (problem.has_value()) return problem;
        break;
      }
      case FieldDescriptor::CPPTYPE_INT64:
        broken = BrokenBound(field, static_cast<double>(reflection.GetInt64(section, &field)));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        broken = BrokenBound(field, static_cast<double>(reflection.GetUInt64(section, &field)));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        broken = BrokenBound(field, reflection.GetDouble(section, &field));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        broken = BrokenChoice(field, reflection.GetString(section, &field));
        break;
      default:
        break;
    }
    if (!broken.empty()) {
      return ConfigProblem{
          {key}, absl::StrCat("key ", key, " ", broken, ", not ", ScalarText(section, field))};
    }
  }
  return std::nullopt;
}

// "host:port" with a port of 0 to 65535.
bool IsAddress(absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  return colon != absl::string_view::npos && colon > 0 &&
         address.find_first_of(" /") == absl::string_view::npos &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 && port <= 65535;
}

// A combination that must hold; reads "left[0] + left[1] relation right: why".
struct Rule {
  bool holds;
  std::vector<std::string> left;  // keys
  const char* relation;
  const char* right;  // a key, or ""
  const char* why;
};

std::vector<Rule> Rules(const v1::Config& config) {
  const v1::ModelShape& model = config.model();
  const v1::RlConfig& rl = config.rl();
  const v1::LearnerConfig& learner = config.learner();
  const int64_t longest = config.data().max_prompt_tokens() + rl.max_response_tokens();
  const bool has_base_model = !config.base_model().empty();  // whose shape is in its folder
  const double cache_bytes_per_token = 2.0 * sizeof(float) * model.num_hidden_layers() *
                                       model.num_key_value_heads() * model.head_dim();
  return {
      {model.num_attention_heads() % model.num_key_value_heads() == 0,
       {"model.num_key_value_heads"},
       "must divide",
       "model.num_attention_heads",
       "each key-value head serves the same number of query heads"},
      {model.head_dim() % 2 == 0,
       {"model.head_dim"},
       "must be even",
       "",
       "rotary embeddings turn pairs of numbers"},
      {model.num_experts_per_tok() <= model.num_experts(),
       {"model.num_experts_per_tok"},
       "must not exceed",
       "model.num_experts",
       "a token can't go to more experts than there are"},
      {model.first_k_dense_replace() <= model.num_hidden_layers(),
       {"model.first_k_dense_replace"},
       "must not exceed",
       "model.num_hidden_layers",
       "the dense layers are among them"},
      {has_base_model || longest <= model.max_position_embeddings(),
       {"data.max_prompt_tokens", "rl.max_response_tokens"},
       "must not exceed",
       "model.max_position_embeddings",
       "the model's longest sequence holds a prompt and its answer"},
      {longest <= learner.max_tokens_per_microbatch(),
       {"data.max_prompt_tokens", "rl.max_response_tokens"},
       "must not exceed",
       "learner.max_tokens_per_microbatch",
       "a micro-batch holds whole sequences"},
      {has_base_model || config.actor().kv_cache_mib() * 0x1p20 >= longest * cache_bytes_per_token,
       {"actor.kv_cache_mib"},
       "is too small",
       "",
       "the cache must hold one sequence of data.max_prompt_tokens + rl.max_response_tokens"},
      {config.sft().min_lr() <= config.sft().lr(),
       {"sft.min_lr"},
       "must not exceed",
       "sft.lr",
       "the learning rate decays from lr to min_lr"},
      {rl.ratio_correction() == "none" || rl.proximal() == "recomputed",
       {"rl.ratio_correction"},
       "needs",
       "rl.proximal",
       "it corrects from the actors' log-probs to the learner's own; set rl.proximal: recomputed"},
      {rl.advantage() != "gae" || rl.policy_loss() != "gspo",
       {"rl.policy_loss"},
       "does not go with",
       "rl.advantage",
       "a ratio of whole answers needs an advantage of whole answers"},
      {rl.advantage() == "gae" || rl.value().pretrain_steps() == 0,
       {"rl.value.pretrain_steps"},
       "needs",
       "rl.advantage",
       "only rl.advantage: gae has a value model"},
      {!rl.value().shared_trunk() || rl.value().model().empty(),
       {"rl.value.model"},
       "does not go with",
       "rl.value.shared_trunk",
       "a shared trunk is the policy's own; set one of them"},
      {rl.overlong_cache() == 0 || rl.overlong_cache() < rl.max_response_tokens(),
       {"rl.overlong_cache"},
       "must be less than",
       "rl.max_response_tokens",
       "else every answer is punished for its length; 0 turns that off"},
      {rl.minibatches() <= rl.groups_per_step(),
       {"rl.minibatches"},
       "must not exceed",
       "rl.groups_per_step",
       "each update needs a group of its own"},
      {!rl.dynamic_sampling() || rl.group_size() >= 2,
       {"rl.group_size"},
       "is too small for",
       "rl.dynamic_sampling",
       "a group of one always agrees and would be dropped; use at least 2"},
      {rl.group_size() >= 2 || rl.advantage() == "gae" || rl.advantage() == "return",
       {"rl.group_size"},
       "is too small for",
       "rl.advantage",
       "the advantage is relative to the group; use at least 2"},
      {learner.ranks() % learner.expert_parallel() == 0,
       {"learner.expert_parallel"},
       "must divide",
       "learner.ranks",
       "the ranks fall into whole expert groups"},
      {model.num_experts() % learner.expert_parallel() == 0,
       {"learner.expert_parallel"},
       "must divide",
       "model.num_experts",
       "every rank of an expert group holds as many experts"},
      {learner.lora().rank() == 0 || learner.expert_parallel() == 1,
       {"learner.lora.rank"},
       "does not go with",
       "learner.expert_parallel",
       "every rank holds all adapters; set learner.expert_parallel: 1"},
      {IsAddress(learner.listen()),
       {"learner.listen"},
       "must be host:port",
       "",
       "for example 127.0.0.1:50051"},
      {config.verifier().reward_model().empty() || config.verifier().reward_url().empty(),
       {"verifier.reward_url"},
       "does not go with",
       "verifier.reward_model",
       "the run serves the model of the latter by itself; set one of them"},
      {config.verifier().address().empty() ||
           (config.verifier().reward_model().empty() && config.verifier().reward_url().empty() &&
            config.verifier().judge_url().empty()),
       {"verifier.reward_model", "verifier.reward_url", "verifier.judge_url"},
       "does not go with",
       "verifier.address",
       "they are for a verifier of our own; tell them to the one that is there"},
      {config.verifier().judge_url().empty() == config.verifier().judge_model().empty(),
       {"verifier.judge_url", "verifier.judge_model"},
       "go together",
       "",
       "an endpoint, and the name of its model"},
      {config.verifier().address().empty() || IsAddress(config.verifier().address()),
       {"verifier.address"},
       "must be host:port",
       "",
       "for example 127.0.0.1:50052; empty starts a verifier of our own"},
  };
}

}  // namespace

MaybeProblem FindConfigProblem(const v1::Config& config) {
  if (MaybeProblem problem = FindOutOfBounds(config, "")) return problem;
  const auto shown = [&config](std::string* text, absl::string_view key) {
    absl::StrAppend(text, key, " = ", ConfigValueText(config, key));
  };
  for (const Rule& rule : Rules(config)) {
    if (rule.holds) continue;
    ConfigProblem problem{rule.left, absl::StrCat("key ", absl::StrJoin(rule.left, " + ", shown),
                                                  " ", rule.relation)};
    if (*rule.right != '\0') {
      problem.keys.emplace_back(rule.right);
      absl::StrAppend(&problem.message, " ");
      shown(&problem.message, rule.right);
    }
    absl::StrAppend(&problem.message, ": ", rule.why);
    return problem;
  }
  return std::nullopt;
}

}  // namespace ponder
