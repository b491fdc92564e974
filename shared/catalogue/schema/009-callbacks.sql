-- What the world is told when something is complete (DESIGN.md, chapter 9): written with what it speaks of, sent afterwards.
create table callback (
  number bigint generated always as identity primary key,
  -- The same on every copy.
  id text collate "C" not null unique,
  type text not null,
  at timestamptz not null,
  body json not null,
  relayed_at timestamptz
);
create index callback_due on callback (number) where relayed_at is null;
create index callback_relayed on callback (relayed_at) where relayed_at is not null;

-- The change of a release after which it was last looked at, whether it was complete or not.
alter table release add looked_at timestamptz;
create index release_to_look_at on release (changed) where looked_at is distinct from changed;
