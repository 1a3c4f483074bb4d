-- Who could we message on a given day?
--
-- One row per person who had consented, unsubscribed or been suppressed by that time. Null means no
-- such event: never subscribed, or never suppressed. Email may be sent to a person whose
-- `email_consent` is SUBSCRIBED and whose `email_suppression` is null.
--
-- Limitations: consent given before `start_date` is missing. Suppressions that were lifted later are
-- also missing, because `global_exclusions` contains current suppressions only. It covers only
-- people with an email address.

with day as (
    -- In UTC, like all dates of the tables. Or: timestamp '2026-06-30 00:00:00'
    select current_timestamp at time zone 'UTC' - interval '30 days' as moment
),

consents as (
    select 'email' as channel, profile_id, datetime, 'SUBSCRIBED' as consent from subscribed_to_email
    union all
    select 'email', profile_id, datetime, 'UNSUBSCRIBED' from unsubscribe
    union all
    select 'sms', profile_id, datetime, 'SUBSCRIBED' from consented_to_receive
    union all
    select 'sms', profile_id, datetime, 'UNSUBSCRIBED' from unsubscribed_from_sms
),

-- Latest consent of each person by that time. UNSUBSCRIBED wins if two are in the same second.
last_consents as (
    select distinct on (channel, profile_id) channel, profile_id, consent
    from consents, day
    where profile_id is not null and datetime < moment
    order by channel, profile_id, datetime desc, consent desc
),

suppressions as (
    select
        id as profile_id,
        suppression ->> 'reason' as reason,
        (suppression ->> 'timestamp')::timestamptz at time zone 'UTC' as suppressed_at
    from global_exclusions, jsonb_array_elements(to_jsonb(suppressions)) as all_of_them (suppression)
),

last_suppressions as (
    select profile_id, (array_agg(reason order by suppressed_at desc, reason desc))[1] as reason
    from suppressions, day
    where suppressed_at < moment
    group by profile_id
),

states as (
    select profile_id, channel, consent as state from last_consents
    union all
    select profile_id, 'suppression', reason from last_suppressions
)

select
    profile_id,
    max(state) filter (where channel = 'email') as email_consent,
    max(state) filter (where channel = 'suppression') as email_suppression,
    max(state) filter (where channel = 'sms') as sms_consent
from states
group by profile_id
order by profile_id;
