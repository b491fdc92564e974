-- What a campaign is forecast to cost: {"sample", "result"}, the campaign that runs a sample of it and, once that has ended,
-- what came of it.
alter table campaign add column forecast json;
create index cost_campaign on cost (campaign) where campaign <> '';
