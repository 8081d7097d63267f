#include "actor/evaluate.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "nlohmann/json.hpp"

namespace ponder::actor {
namespace {

// So many answers go to the verifier in one call.
constexpr size_t kGradeBatch = 64;

// The k sampled answers of a prompt have sample indices 0 to k - 1; index k is the greedy one.
absl::StatusOr<std::vector<Engine::Request>> MakeRequests(const moe::ModelConfig& config,
                                                          absl::Span<const Prompt> prompts,
                                                          const EvalOptions& options) {
  std::vector<Engine::Request> requests;
  for (const Prompt& prompt : prompts) {
    auto tokens = options.text->EncodeChat(prompt.messages, options.system_prompt);
    if (!tokens.ok()) return Annotate(tokens.status(), absl::StrCat("prompt ", prompt.id));
    const int64_t room = config.max_position_embeddings - static_cast<int64_t>(tokens->size());
    if (room < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("prompt ", prompt.id, " has ", tokens->size(),
                       " tokens, more than the model's max_position_embeddings (",
                       config.max_position_embeddings, ") leaves room for"));
    }
    for (int64_t sample = 0; sample <= options.samples; ++sample) {
      Engine::Request request;
      request.key = {prompt.id, sample};
      request.prompt_tokens = *tokens;
      request.max_new_tokens =
          options.max_response_tokens > 0 ? std::min(room, options.max_response_tokens) : room;
      request.sampling = options.sampling;
      if (sample == options.samples) request.sampling = {/*temperature=*/0, /*top_p=*/1};
      request.seed = options.seed;
      request.eos_tokens = options.text->eos_tokens();
      requests.push_back(std::move(request));
    }
  }
  return requests;
}

// One Finished a request, in order.
absl::StatusOr<std::vector<Engine::Finished>> Generate(const moe::Model& model,
                                                       std::vector<Engine::Request> requests,
                                                       const EvalOptions& options) {
  PONDER_ASSIGN_OR_RETURN(auto engine, Engine::Make(options.engine, model, /*version=*/0));
  return GenerateAll(*engine, std::move(requests), options.progress);
}

std::vector<Verdict> Grade(absl::Span<const Prompt> prompts,
                           absl::Span<const Engine::Finished> answers, size_t answers_per_prompt,
                           const data::ModelText& text, VerifierLink& verifier) {
  std::vector<Verdict> verdicts;
  for (size_t begin = 0; begin < answers.size(); begin += kGradeBatch) {
    std::vector<VerifierLink::Question> questions;
    for (size_t i = begin; i < std::min(answers.size(), begin + kGradeBatch); ++i) {
      const Prompt& prompt = prompts[i / answers_per_prompt];
      questions.push_back({prompt.kind, prompt.gold, text.ResponseText(answers[i].tokens)});
    }
    for (Verdict& verdict : verifier.Grade(questions)) verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

Accuracy Mean(const std::vector<double>& of_prompts) {
  Accuracy accuracy;
  for (double value : of_prompts) accuracy.value += value;
  if (!of_prompts.empty()) accuracy.value /= static_cast<double>(of_prompts.size());
  accuracy.interval = WilsonInterval(accuracy.value, static_cast<int64_t>(of_prompts.size()));
  return accuracy;
}

// 1, 2, 4, ... below k, and k.
std::vector<int64_t> PassAtValues(int64_t k) {
  std::vector<int64_t> values;
  for (int64_t value = 1; value < k; value *= 2) values.push_back(value);
  values.push_back(k);
  return values;
}

struct Tally {
  int64_t judged = 0;
  int64_t correct = 0;
};

void FillAccuracies(const std::vector<Tally>& sampled, const std::vector<Tally>& greedy,
                    EvalReport* report) {
  std::vector<double> shares, greedy_shares;
  for (const Tally& tally : sampled) {
    if (tally.judged > 0)
      shares.push_back(static_cast<double>(tally.correct) / static_cast<double>(tally.judged));
  }
  for (const Tally& tally : greedy) {
    if (tally.judged > 0) greedy_shares.push_back(static_cast<double>(tally.correct));
  }
  report->avg_at_k = Mean(shares);
  report->greedy = Mean(greedy_shares);
  for (int64_t k : PassAtValues(report->samples)) {
    std::vector<double> passes;
    for (const Tally& tally : sampled) {
      if (tally.judged >= k) passes.push_back(PassAtK(tally.judged, tally.correct, k));
    }
    report->pass_at.push_back({k, Mean(passes)});
  }
}

std::vector<EvalReport::Source> BySource(absl::Span<const Prompt> prompts,
                                         const std::vector<Tally>& sampled) {
  std::map<std::string, std::vector<double>> shares;
  for (size_t i = 0; i < prompts.size(); ++i) {
    std::vector<double>& of_source = shares[prompts[i].source];
    if (sampled[i].judged > 0)
      of_source.push_back(static_cast<double>(sampled[i].correct) /
                          static_cast<double>(sampled[i].judged));
  }
  std::vector<EvalReport::Source> sources;
  if (shares.size() < 2) return sources;
  for (const auto& [name, of_source] : shares) {
    sources.push_back({name, static_cast<int64_t>(of_source.size()), Mean(of_source)});
  }
  return sources;
}

nlohmann::ordered_json IntervalJson(const Accuracy& accuracy) {
  return {accuracy.interval.low, accuracy.interval.high};
}

}  // namespace

absl::StatusOr<EvalReport> Evaluate(const moe::Model& model, absl::Span<const Prompt> prompts,
                                    const EvalOptions& options, VerifierLink& verifier) {
  if (options.samples < 1) return absl::InvalidArgumentError("samples must be at least 1");
  if (options.max_prompts > 0)
    prompts = prompts.subspan(0, static_cast<size_t>(options.max_prompts));
  if (prompts.empty()) return absl::InvalidArgumentError("there are no prompts to evaluate on");
  EvalReport report;
  report.prompts = static_cast<int64_t>(prompts.size());
  report.samples = options.samples;

  const absl::Time start = SteadyNow();
  PONDER_ASSIGN_OR_RETURN(auto requests, MakeRequests(model.config, prompts, options));
  PONDER_ASSIGN_OR_RETURN(const auto answers, Generate(model, std::move(requests), options));
  const absl::Time generated = SteadyNow();
  const size_t answers_per_prompt = static_cast<size_t>(options.samples) + 1;
  const std::vector<Verdict> verdicts =
      Grade(prompts, answers, answers_per_prompt, *options.text, verifier);
  report.generate_seconds = absl::ToDoubleSeconds(generated - start);
  report.grade_seconds = absl::ToDoubleSeconds(SteadyNow() - generated);

  std::vector<Tally> sampled(prompts.size()), greedy(prompts.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const Prompt& prompt = prompts[i / answers_per_prompt];
    const Verdict& verdict = verdicts[i];
    const bool is_greedy = answers[i].key.sample_index == options.samples;
    if (verdict.outcome == Verdict::Outcome::kError) {
      if (report.errors++ == 0) report.first_error = verdict.reason;
    } else if (verdict.outcome != Verdict::Outcome::kScored) {
      Tally& tally = (is_greedy ? greedy : sampled)[i / answers_per_prompt];
      ++tally.judged;
      tally.correct += verdict.outcome == Verdict::Outcome::kCorrect;
    }
    if (is_greedy) continue;
    if (options.on_sample && verdict.outcome != Verdict::Outcome::kError)
      options.on_sample(prompt, options.text->ResponseText(answers[i].tokens), verdict);
    report.mean_response_tokens += static_cast<double>(answers[i].tokens.size());
    report.scored += verdict.score.has_value();
    report.mean_score += verdict.score.value_or(0);
    report.unparsable += verdict.outcome == Verdict::Outcome::kUnparsable;
    report.cut += answers[i].stop_reason == StopReason::kLength;
    if (answers[i].key.sample_index == 0 &&
        static_cast<int64_t>(report.examples.size()) < options.examples) {
      report.examples.push_back({prompt.id, prompt.messages.back().content, prompt.gold,
                                 options.text->ResponseText(answers[i].tokens), verdict});
    }
  }
  if (report.errors == static_cast<int64_t>(answers.size())) {
    return absl::UnavailableError(absl::StrCat("the verifier judged none of ", report.errors,
                                               " answers: ", report.first_error));
  }
  report.mean_response_tokens /= static_cast<double>(report.prompts * report.samples);
  report.mean_score /= std::max<double>(1, static_cast<double>(report.scored));
  FillAccuracies(sampled, greedy, &report);
  report.sources = BySource(prompts, sampled);
  return report;
}

nlohmann::ordered_json EvalReport::ToJson() const {
  nlohmann::ordered_json json;
  json["prompts"] = prompts;
  json["k"] = samples;
  json["avg_at_k"] = avg_at_k.value;
  json["avg_at_k_interval"] = IntervalJson(avg_at_k);
  json["pass_at_k"] = pass_at.back().accuracy.value;
  json["pass_at_k_interval"] = IntervalJson(pass_at.back().accuracy);
  for (const PassAt& pass : pass_at) {
    json["pass_at"].push_back(
        {{"k", pass.k}, {"value", pass.accuracy.value}, {"interval", IntervalJson(pass.accuracy)}});
  }
  for (const Source& source : sources) {
    json["sources"][source.name] = {{"avg_at_k", source.avg_at_k.value},
                                    {"interval", IntervalJson(source.avg_at_k)},
                                    {"prompts", source.prompts}};
  }
  json["greedy_accuracy"] = greedy.value;
  json["greedy_accuracy_interval"] = IntervalJson(greedy);
  json["interval"] = "95%, Wilson over prompts";
  json["mean_response_tokens"] = mean_response_tokens;
  if (scored > 0) json["mean_score"] = mean_score;
  json["unparsable"] = unparsable;
  json["cut"] = cut;
  json["errors"] = errors;
  json["generate_seconds"] = generate_seconds;
  json["grade_seconds"] = grade_seconds;
  json["examples"] = nlohmann::ordered_json::array();
  for (const Example& example : examples) {
    json["examples"].push_back({{"id", example.prompt_id},
                                {"question", example.question},
                                {"gold", example.gold},
                                {"response", example.response},
                                {"verdict", OutcomeName(example.verdict.outcome)},
                                {"extracted", example.verdict.extracted}});
  }
  return json;
}

}  // namespace ponder::actor
