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
    select current_timestamp - interval '30 days' as moment  -- or: timestamptz '2026-06-30 00:00Z'
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
    select channel, profile_id, consent
    from consents, day
    where profile_id is not null and datetime < moment
    qualify row_number() over (
        partition by channel, profile_id
        order by datetime desc, consent desc
    ) = 1
),

suppressions as (
    select
        id as profile_id,
        suppression ->> 'reason' as reason,
        (suppression ->> 'timestamp')::timestamptz as suppressed_at
    from global_exclusions, unnest(suppressions::json[]) as all_of_them (suppression)
),

last_suppressions as (
    select profile_id, max_by(reason, (suppressed_at, reason)) as reason
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
    max(state) filter (channel = 'email') as email_consent,
    max(state) filter (channel = 'suppression') as email_suppression,
    max(state) filter (channel = 'sms') as sms_consent
from states
group by profile_id
order by profile_id;
