-- Is each list growing?
--
-- A row is a list in a week (Monday to Sunday, UTC) in which somebody joined or left.
--
-- Beware: a list is told by the name it had when somebody joined or left. Klaviyo has events only of
-- those who subscribed or unsubscribed: whoever was imported, deleted or suppressed is not in here,
-- so the sum of `net` need not be the size of the list. Who is on it now is in `list_members`.

with changes as (
    select id, datetime, event_properties, 1 as change from subscribe_list
    union all
    select id, datetime, event_properties, -1 from unsub_list
),

weeks as (
    select distinct
        id,
        coalesce(event_properties ->> 'List', '(unknown)') as list,
        date_trunc('week', datetime at time zone 'UTC')::date as week,
        change
    from changes
)

select
    list,
    week,
    count(*) filter (change = 1) as joined,
    count(*) filter (change = -1) as "left",
    sum(change) as net
from weeks
group by list, week
order by list, week;
