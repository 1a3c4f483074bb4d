-- What do our flows earn?
--
-- A row is a flow that Klaviyo credits with an order. It counts each order once, however many of
-- the flow's messages are credited with it.
--
-- Beware: an order that is credited to two flows counts for both, so do not add the rows up. Values
-- are in the currency that the shop sends. Cancelled and refunded orders are in here.
--
-- It needs `flows`, and a stream of your own with its field `attributions` selected:
--     "metric_streams": {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}

with orders as (
    select
        id,
        coalesce(try_cast(event_properties ->> '$."$value"' as decimal(18, 2)), 0) as value,
        attributions
    from placed_order
),

-- Which flows have earned each order.
credits as (
    select distinct
        attribution ->> 'flow_id' as flow_id,
        orders.id as order_id,
        value
    from orders, unnest(attributions::json[]) as credited (attribution)
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
