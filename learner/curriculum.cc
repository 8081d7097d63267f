#include "learner/curriculum.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/philox.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {

Curriculum::Curriculum(const Options& options, uint64_t seed, absl::Span<const Prompt> prompts,
                       int64_t group_size)
    : options_(options),
      seed_(seed),
      group_size_(group_size),
      epochs_(seed, static_cast<int64_t>(prompts.size()), group_size) {
  std::map<std::string, std::map<int32_t, std::vector<int64_t>>> found;
  for (size_t i = 0; i < prompts.size(); ++i) {
    found[prompts[i].source][prompts[i].difficulty].push_back(static_cast<int64_t>(i));
  }
  cell_of_.resize(prompts.size());
  for (auto& [name, levels] : found) {
    Source source;
    source.name = name;
    for (auto& [level, members] : levels) {
      for (const int64_t prompt : members) cell_of_[static_cast<size_t>(prompt)] = cells_.size();
      source.cells.push_back(cells_.size());
      const std::string stream = absl::StrCat(name, "/", level);
      orders_.emplace_back(seed ^ StableHash(stream), static_cast<int64_t>(members.size()),
                           group_size);
      Cell cell;
      cell.prompts = std::move(members);
      cell.source = sources_.size();
      cell.level = level;
      cells_.push_back(std::move(cell));
    }
    sources_.push_back(std::move(source));
  }
}

PromptOrder::Place Curriculum::Open(int64_t group_id) {
  Flight flight;
  PromptOrder::Place place;
  if (options_.adapt) {
    Rng rng(seed_, absl::StrCat("curriculum.", group_id));
    const std::vector<double> shares = Shares();
    double left = rng.NextUniform();
    while (flight.cell + 1 < cells_.size() && (left -= shares[flight.cell]) >= 0) ++flight.cell;
    // Rounding may leave a crumb for a cell that can't be drawn.
    while (shares[flight.cell] == 0) --flight.cell;
    Cell& cell = cells_[flight.cell];
    place = orders_[flight.cell].Find(cell.drawn++);
    place.prompt = cell.prompts[static_cast<size_t>(place.prompt)];
  } else {
    place = epochs_.Find(group_id);
    flight.cell = cell_of_[static_cast<size_t>(place.prompt)];
    ++cells_[flight.cell].drawn;
  }
  flights_[group_id] = flight;
  return place;
}

void Curriculum::Score(int64_t group_id, int64_t correct) {
  flights_.at(group_id).pass_rate = static_cast<double>(correct) / static_cast<double>(group_size_);
}

void Curriculum::Settle(int64_t next_group_id) {
  while (!flights_.empty() && flights_.begin()->first < next_group_id) {
    const Flight& flight = flights_.begin()->second;
    if (flight.pass_rate.has_value()) Learn(flight.cell, *flight.pass_rate);
    flights_.erase(flights_.begin());
  }
  for (Source& source : sources_) {
    if (source.groups < options_.patience) continue;
    const double pass_rate = cells_[source.cells[source.at]].pass_rate;
    const size_t before = source.at;
    if (pass_rate > options_.raise && source.at + 1 < source.cells.size()) ++source.at;
    if (pass_rate < options_.lower && source.at > 0) --source.at;
    if (source.at != before) source.groups = 0;
  }
}

void Curriculum::Learn(size_t index, double pass_rate) {
  Cell& cell = cells_[index];
  ++cell.groups;
  const double rate = std::max(1.0 / static_cast<double>(cell.groups), options_.rate);
  cell.pass_rate += rate * (pass_rate - cell.pass_rate);
  Source& source = sources_[cell.source];
  source.groups += source.cells[source.at] == index;
}

std::vector<double> Curriculum::Shares() const {
  std::vector<double> shares(cells_.size(), 0.0);
  int64_t reached = 0;
  double signal = 0;
  const auto signal_of = [](const Cell& cell) { return cell.pass_rate * (1 - cell.pass_rate); };
  for (const Source& source : sources_) {
    reached += static_cast<int64_t>(source.at) + 1;
    signal += signal_of(cells_[source.cells[source.at]]);
  }
  // Nothing left to learn anywhere: all evenly.
  const double floor = signal > 0 ? options_.floor : 1;
  for (const Source& source : sources_) {
    for (size_t i = 0; i <= source.at; ++i) {
      shares[source.cells[i]] += floor / static_cast<double>(reached);
    }
    const size_t here = source.cells[source.at];
    if (signal > 0) shares[here] += (1 - floor) * signal_of(cells_[here]) / signal;
  }
  return shares;
}

std::vector<Curriculum::Domain> Curriculum::domains() const {
  const std::vector<double> shares = Shares();
  std::vector<Domain> domains;
  for (const Source& source : sources_) {
    for (size_t i = 0; i < source.cells.size(); ++i) {
      const Cell& cell = cells_[source.cells[i]];
      domains.push_back({source.name, cell.level, cell.groups, cell.pass_rate,
                         options_.adapt ? shares[source.cells[i]] : 0,
                         options_.adapt && i == source.at});
    }
  }
  return domains;
}

std::string Curriculum::State() const {
  std::vector<int64_t> drawn;
  for (const Cell& cell : cells_) drawn.push_back(cell.drawn);
  // What is in flight will be drawn again.
  for (const auto& [id, flight] : flights_) --drawn[flight.cell];
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (size_t i = 0; i < cells_.size(); ++i) {
    cells.push_back({{"source", sources_[cells_[i].source].name},
                     {"level", cells_[i].level},
                     {"drawn", drawn[i]},
                     {"groups", cells_[i].groups},
                     {"pass_rate", cells_[i].pass_rate}});
  }
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  for (const Source& source : sources_) {
    sources.push_back({{"source", source.name},
                       {"level", cells_[source.cells[source.at]].level},
                       {"groups", source.groups}});
  }
  return nlohmann::ordered_json{{"domains", cells}, {"sources", sources}}.dump();
}

absl::Status Curriculum::Restore(const std::string& state) {
  PONDER_CHECK(flights_.empty(), "a curriculum is restored before its first group");
  const auto broken = [](const auto&... why) {
    return absl::DataLossError(
        absl::StrCat("state of the curriculum: ", why..., "; resume from an older checkpoint"));
  };
  const auto json = nlohmann::json::parse(state, nullptr, /*allow_exceptions=*/false);
  try {
    const auto& cells = json.at("domains");
    const auto& sources = json.at("sources");
    if (cells.size() != cells_.size() || sources.size() != sources_.size()) {
      return broken("it has ", cells.size(), " domains, the prompts ", cells_.size());
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (cells[i].at("source") != sources_[cells_[i].source].name ||
          cells[i].at("level") != cells_[i].level) {
        return broken("domain ", i, " is another than the prompts'");
      }
      cells[i].at("drawn").get_to(cells_[i].drawn);
      cells[i].at("groups").get_to(cells_[i].groups);
      cells[i].at("pass_rate").get_to(cells_[i].pass_rate);
    }
    for (size_t i = 0; i < sources_.size(); ++i) {
      Source& source = sources_[i];
      sources[i].at("groups").get_to(source.groups);
      source.at = source.cells.size();
      for (size_t at = 0; at < source.cells.size(); ++at) {
        if (sources[i].at("level") == cells_[source.cells[at]].level) source.at = at;
      }
      if (source.at == source.cells.size()) return broken(source.name, " stands at no level");
    }
  } catch (const nlohmann::json::exception& error) {
    return broken(error.what());
  }
  return absl::OkStatus();
}

}  // namespace ponder::learner
