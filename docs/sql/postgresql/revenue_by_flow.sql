-- How much revenue does each flow generate?
--
-- One row per flow with attributed orders. An order counts once per flow, even if Klaviyo
-- attributes it to several messages of the flow.
--
-- Limitations: an order attributed to two flows counts for both, so do not sum the rows. Values are
-- in the currency that the shop sends. Cancelled and refunded orders are included.
--
-- Requires `flows` and a custom stream with its field `attributions` selected:
--     "metric_streams": {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}

with orders as (
    select
        id,
        case
            when event_properties ->> '$value' ~ '^-?[0-9]+([.][0-9]+)?$'
            then (event_properties ->> '$value')::decimal(18, 2)
            else 0
        end as value,
        attributions
    from placed_order
),

-- Flows that each order is attributed to.
credits as (
    select distinct
        attribution ->> 'flow_id' as flow_id,
        orders.id as order_id,
        value
    from orders, jsonb_array_elements(to_jsonb(attributions)) as credited (attribution)
    where (attribution ->> 'flow_id') is not null
),

earnings as (
    select
        flow_id,
        count(*) as orders,
        sum(value) as value
    from credits
    group by flow_id
)

select distinct
    coalesce(flows.name, '(deleted)') as flow,
    orders,
    value,
    round(value / orders, 2) as average_order,
    flow_id
from earnings
left join flows on flows.id = flow_id
order by value desc, flow_id;
