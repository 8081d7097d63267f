// `ponder eval`: how often a model's answers to a prompt file are correct; and `ponder reject`,
// which keeps the correct ones to fine-tune on (rejection sampling).
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "actor/evaluate.h"
#include "actor/links.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "data/prompt_set.h"
#include "deploy/commands.h"
#include "deploy/model_folder.h"
#include "deploy/own_verifier.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct EvalCommandOptions {
  std::string model;
  std::string prompts;
  std::string verifier;  // host:port; empty: our own
  std::string out;       // of `ponder reject`
  bool json = false;
  int threads = 1;
  data::ModelTextOptions text;
  actor::EvalOptions eval;
};

// Prompts that leave room for an answer; tells of the others.
absl::StatusOr<std::vector<Prompt>> ReadPrompts(const EvalCommandOptions& options,
                                                const moe::ModelConfig& config) {
  data::PromptSetOptions prompt_options;
  prompt_options.max_prompt_tokens = config.max_position_embeddings - 1;
  prompt_options.system_prompt = options.eval.system_prompt;
  prompt_options.text = options.eval.text;
  PONDER_ASSIGN_OR_RETURN(data::PromptSet set, data::LoadPrompts(options.prompts, prompt_options));
  if (!set.dropped.empty()) {
    std::fprintf(stderr,
                 "ponder eval: left out %zu prompts that are longer than the model takes, first %s "
                 "(%lld tokens)\n",
                 set.dropped.size(), set.dropped.front().id.c_str(),
                 static_cast<long long>(set.dropped.front().tokens));
  }
  return std::move(set.prompts);
}

// A link that has judged one answer: a verifier that is away is told of before the work, not after
// it.
absl::StatusOr<std::unique_ptr<actor::VerifierLink>> ConnectVerifier(const std::string& address) {
  actor::GrpcVerifierOptions options;
  options.address = address;
  options.deadline = absl::Seconds(5);
  const Verdict verdict = actor::MakeGrpcVerifierLink(options)->Grade({{"math", "1", "1"}}).front();
  if (verdict.outcome == Verdict::Outcome::kError) return absl::UnavailableError(verdict.reason);
  options.deadline = actor::GrpcVerifierOptions().deadline;
  return actor::MakeGrpcVerifierLink(options);
}

void ShowProgress(int64_t done, int64_t total) {
  std::fprintf(stderr, "\r%lld of %lld answers%s", static_cast<long long>(done),
               static_cast<long long>(total), done == total ? "\n" : "");
}

std::string AccuracyLine(const std::string& name, const actor::Accuracy& accuracy) {
  return absl::StrFormat("  %-10s %6.2f%%   [%.2f%%, %.2f%%]\n", name, 100 * accuracy.value,
                         100 * accuracy.interval.low, 100 * accuracy.interval.high);
}

std::string ReportText(const EvalCommandOptions& options, const actor::EvalReport& report) {
  std::string text = absl::StrFormat(
      "%s on %s: %d prompts, %d answers each at temperature %g (95%% intervals: Wilson over "
      "prompts)\n",
      options.model, options.prompts, report.prompts, report.samples,
      options.eval.sampling.temperature);
  absl::StrAppend(&text, AccuracyLine(absl::StrCat("avg@", report.samples), report.avg_at_k));
  for (const auto& pass : report.pass_at) {
    if (pass.k > 1)
      absl::StrAppend(&text, AccuracyLine(absl::StrCat("pass@", pass.k), pass.accuracy));
  }
  absl::StrAppend(&text, AccuracyLine("greedy", report.greedy));
  absl::StrAppendFormat(
      &text, "  %.1f tokens an answer; %d unparsable, %d cut at the limit, %d not judged\n",
      report.mean_response_tokens, report.unparsable, report.cut, report.errors);
  for (const auto& example : report.examples) {
    absl::StrAppendFormat(&text, "\n[%s] %s\n%s\n-> %s, expected %s\n", example.prompt_id,
                          example.question, example.response, OutcomeName(example.verdict.outcome),
                          example.gold);
  }
  return text;
}

// Generates, judges and counts, with a verifier of our own if none is named.
absl::StatusOr<actor::EvalReport> Measure(const char* command, EvalCommandOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const OpenedModel opened, OpenModel(options.model, options.text));
  const moe::Model& model = opened.model;
  options.eval.text = opened.text;
  PONDER_ASSIGN_OR_RETURN(const std::vector<Prompt> prompts, ReadPrompts(options, model.config));
  std::unique_ptr<OwnVerifier> own_verifier;
  if (options.verifier.empty()) {
    PONDER_ASSIGN_OR_RETURN(own_verifier, OwnVerifier::Start(options.threads));
  }
  PONDER_ASSIGN_OR_RETURN(
      const auto verifier,
      ConnectVerifier(own_verifier ? own_verifier->address() : options.verifier));
  options.eval.engine.threads = options.threads;
  options.eval.engine.kv_cache_mib =
      std::max(options.eval.engine.kv_cache_mib, actor::Engine::LeastKvCacheMib(model.config));
  if (isatty(STDERR_FILENO)) options.eval.progress = ShowProgress;
  PONDER_ASSIGN_OR_RETURN(const actor::EvalReport report,
                          actor::Evaluate(model, prompts, options.eval, *verifier));
  if (report.errors > 0) {
    std::fprintf(stderr, "ponder %s: %lld answers could not be judged: %s\n", command,
                 static_cast<long long>(report.errors), report.first_error.c_str());
  }
  return report;
}

absl::Status RunEval(EvalCommandOptions options) {
  PONDER_ASSIGN_OR_RETURN(const actor::EvalReport report, Measure("eval", options));
  std::string text;
  if (options.json) {
    nlohmann::ordered_json json = {{"model", options.model},
                                   {"prompt_file", options.prompts},
                                   {"temperature", options.eval.sampling.temperature},
                                   {"top_p", options.eval.sampling.top_p},
                                   {"seed", options.eval.seed}};
    json.update(report.ToJson());
    text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  } else {
    text = ReportText(options, report);
  }
  std::fputs(text.c_str(), stdout);
  if (std::fflush(stdout) != 0) return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

// Writes each different correct answer as a dialogue for `ponder sft`.
absl::Status RunReject(EvalCommandOptions options) {
  std::string lines;
  std::set<std::pair<std::string, std::string>> kept;  // prompt id, answer
  int64_t correct = 0;
  options.eval.on_sample = [&](const Prompt& prompt, const std::string& response,
                               const Verdict& verdict) {
    if (verdict.outcome != Verdict::Outcome::kCorrect) return;
    ++correct;
    if (!kept.emplace(prompt.id, response).second) return;
    nlohmann::ordered_json line = {{"id", prompt.id}, {"messages", nlohmann::json::array()}};
    for (const Message& message : prompt.messages)
      line["messages"].push_back({{"role", message.role}, {"content", message.content}});
    line["messages"].push_back({{"role", "assistant"}, {"content", response}});
    absl::StrAppend(
        &lines, line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), "\n");
  };
  PONDER_ASSIGN_OR_RETURN(const actor::EvalReport report, Measure("reject", options));
  if (kept.empty()) {
    return absl::NotFoundError(absl::StrCat("none of ", report.prompts * report.samples,
                                            " answers is correct; nothing was written"));
  }
  PONDER_RETURN_IF_ERROR(WriteFileAtomic(options.out, lines));
  std::printf(
      "%s: %zu dialogues; of %lld answers %lld were correct, %lld of them the same as another\n",
      options.out.c_str(), kept.size(), static_cast<long long>(report.prompts * report.samples),
      static_cast<long long>(correct),
      static_cast<long long>(correct - static_cast<int64_t>(kept.size())));
  return absl::OkStatus();
}

// The options that both commands have.
CLI::App* AddCommand(CLI::App& app, const char* name, const char* what,
                     const std::shared_ptr<EvalCommandOptions>& options) {
  options->eval.seed = 1;
  actor::EvalOptions& eval = options->eval;
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("--model", options->model, "folder of the model")->required();
  command->add_option("--prompts", options->prompts, "JSONL: our layout, GSM8K's or verl's")
      ->required();
  command->add_option("--samples", eval.samples, "k: answers a prompt, beside the greedy one")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--temperature", eval.sampling.temperature, "of the k answers")
      ->capture_default_str();
  command->add_option("--top-p", eval.sampling.top_p, "of the k answers, in (0, 1]")
      ->capture_default_str();
  command
      ->add_option("--max-prompts", eval.max_prompts, "take only the first ones; without it, all")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command
      ->add_option("--max-tokens", eval.max_response_tokens,
                   "longest answer; without it, what the model has room for")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--system-prompt", eval.system_prompt, "opens every chat");
  AddTextOptions(command, &options->text);
  command->add_option("--seed", eval.seed, "of the sampling")->capture_default_str();
  command->add_option("--verifier", options->verifier,
                      "host:port of a running ponder-verifier; without it, our own");
  command
      ->add_option("--threads", options->threads,
                   "of the computation; the answers are the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  return command;
}

}  // namespace

void AddEvalCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<EvalCommandOptions>();
  CLI::App* command = AddCommand(
      app, "eval", "measure a model on a prompt file: avg@k, pass@k, greedy accuracy", options);
  command->add_flag("--json", options->json, "the report as one JSON object");
  command->callback([options, exit_code] { *exit_code = ReportStatus("eval", RunEval(*options)); });
}

void AddRejectCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<EvalCommandOptions>();
  CLI::App* command =
      AddCommand(app, "reject",
                 "sample answers and keep the different correct ones for `ponder sft`", options);
  command->add_option("--out", options->out, "JSONL file for the dialogues")->required();
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("reject", RunReject(*options)); });
}

}  // namespace ponder::deploy
