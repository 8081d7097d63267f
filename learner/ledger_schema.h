// The schema of RUN/pool.db, as a person reads it with `.schema`.
#pragma once

namespace ponder::learner {

// Kept in the database as user_version.
inline constexpr int kLedgerVersion = 1;

inline constexpr char kLedgerSchema[] = R"sql(
-- The lives of this run: 0, then one more each time it was resumed.
create table lives (
  resume        integer primary key,
  started_ms    integer not null,   -- unix time, milliseconds, as everywhere
  step          integer not null,   -- updates done when it began
  next_group_id integer not null,   -- groups before this one were done
  seed          integer not null,
  group_size    integer not null,
  prompts_hash  integer not null
) strict;

create table samples (
  prompt_id        text    not null,
  sample_index     integer not null,  -- the n-th answer ever drawn for the prompt
  resume           integer not null references lives(resume),
  group_id         integer not null,  -- grows in lease order
  attempt          integer not null,  -- grows each time it is handed out
  actor            text,              -- who holds or held it; null: waits to be handed out again
  state            text    not null
    check (state in ('open', 'finished', 'training', 'trained', 'dropped')),
  reason           text,              -- why it was dropped
  return_reason    text,              -- why it was last handed out again
  leased_version   integer not null,  -- weights it had to be started under, at least
  weight_version   integer,           -- weights of its first token
  tokens           integer,           -- of the response
  outcome          text,              -- the verdict
  generate_seconds real,
  trained_step     integer,           -- the update that it was trained in, or had been when rolled back
  leased_ms        integer not null,
  deadline_ms      integer not null,
  finished_ms      integer,
  ended_ms         integer,           -- trained or dropped
  primary key (prompt_id, sample_index, resume),
  check (state <> 'trained' or trained_step is not null),
  check ((state = 'dropped') = (reason is not null)),
  check ((state in ('trained', 'dropped')) = (ended_ms is not null)),
  check (state not in ('finished', 'training', 'trained') or finished_ms is not null)
) strict, without rowid;

create unique index trained_once on samples(prompt_id, sample_index) where state = 'trained';
create index samples_by_group on samples(group_id);
create index samples_by_state on samples(state, reason);
create index samples_by_step on samples(trained_step) where trained_step is not null;

create view summary as
  select resume, state, reason, count(*) as samples, sum(tokens) as tokens,
         avg(outcome = 'correct') as accuracy
  from samples group by resume, state, reason;

create view groups as
  select group_id, resume, prompt_id, count(*) as samples, sum(outcome = 'correct') as correct,
         max(attempt) as attempts_max, group_concat(distinct state) as states,
         group_concat(distinct reason) as reasons, max(trained_step) as trained_step
  from samples group by group_id, resume, prompt_id;

create view steps as
  select trained_step as step, count(distinct group_id) as groups, count(*) as samples,
         avg(outcome = 'correct') as accuracy, avg(tokens) as tokens_mean,
         min(weight_version) as oldest_version, max(weight_version) as newest_version,
         datetime(max(ended_ms) / 1000, 'unixepoch') as trained_utc
  from samples where state = 'trained' group by trained_step;
)sql";

}  // namespace ponder::learner
