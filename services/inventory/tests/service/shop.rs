//! An inventory service of a test's own.

use inventory::{Args, MIGRATOR, NAME};
use kit::{PlatformArgs, http::TraceContext};
use rpc::inventory::v1::{
    InitializeStockRequest, Line, ReleaseRequest, ReserveRequest, Stock, inventory_client::InventoryClient,
    reserve_response::Outcome,
};
use testkit::{Answer, Client, Issuer, Server, TestDatabase, TestEvents};
use tonic::{Code, Response, Status, transport::Channel};
use types::{OrderId, VariantId};

/// A running service with everything it needs.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) events: TestEvents,
    pub(crate) issuer: Issuer,
    pub(crate) server: Server,
    channel: Channel,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::new(NAME, &MIGRATOR).await;
        let events = TestEvents::new().await;
        let issuer = Issuer::start().await;
        let platform = PlatformArgs { kafka: events.args(), store_currency: "NGN".parse().unwrap() };
        let service = inventory::build(Args { database: database.args(), platform }, issuer.platform()).await.unwrap();
        let server = Server::start(service).await;
        let channel = kit::grpc::channel(&server.grpc_url()).unwrap();
        Self { database, events, issuer, server, channel }
    }

    /// A client with the token of a member of staff.
    pub(crate) fn staff(&self) -> Client {
        self.server.client().bearer(self.issuer.staff())
    }

    pub(crate) fn calls(&self) -> InventoryClient<Channel> {
        InventoryClient::new(self.channel.clone())
    }

    /// A new variant with `units` of stock.
    pub(crate) async fn stocked(&self, units: i64) -> VariantId {
        let variant_id = VariantId::new();
        self.initialize(variant_id, units).await;
        variant_id
    }

    pub(crate) async fn initialize(&self, variant_id: VariantId, units: i64) {
        let stocks = vec![Stock { variant_id: variant_id.to_string(), on_hand: units }];
        let call = kit::grpc::call(InitializeStockRequest { stocks }, &TraceContext::default());
        self.calls().initialize_stock(call).await.unwrap();
    }

    /// What inventory says to an order's request, once it says something.
    pub(crate) async fn reserve(&self, order_id: OrderId, lines: &[(VariantId, u32)]) -> Result<Outcome, Code> {
        self.reserve_for(order_id, lines, 600).await
    }

    pub(crate) async fn reserve_for(
        &self,
        order_id: OrderId,
        lines: &[(VariantId, u32)],
        ttl_seconds: u32,
    ) -> Result<Outcome, Code> {
        let line = |(id, quantity): &(VariantId, u32)| Line { variant_id: id.to_string(), quantity: *quantity };
        let lines = lines.iter().map(line).collect();
        let request = ReserveRequest { order_id: order_id.to_string(), lines, ttl_seconds };
        let answer =
            repeating(async || self.calls().reserve(request.clone()).await).await.map_err(|status| status.code())?;
        Ok(answer.outcome.unwrap())
    }

    pub(crate) async fn release(&self, order_id: OrderId) {
        let request = ReleaseRequest { order_id: order_id.to_string() };
        repeating(async || self.calls().release(request.clone()).await).await.unwrap();
    }

    pub(crate) async fn read(&self, variant_id: VariantId) -> Answer {
        self.staff().get(&format!("/api/inventory/{variant_id}")).send().await
    }

    /// Units on hand and reserved.
    pub(crate) async fn stock(&self, variant_id: VariantId) -> (i64, i64) {
        let stock = self.read(variant_id).await.expect(200).json();
        let (on_hand, reserved) = (stock["on_hand"].as_i64().unwrap(), stock["reserved"].as_i64().unwrap());
        assert_eq!(stock["available"], on_hand - reserved);
        (on_hand, reserved)
    }

    /// Checks that movements and reservations add up to the stock, of every variant.
    pub(crate) async fn expect_balanced_books(&self) {
        let wrong = sqlx::query_scalar!(
            r#"select s.variant_id from stock s
               where s.reserved <> (select coalesce(sum(quantity), 0) from reservation_lines l where l.variant_id = s.variant_id)
                  or s.on_hand <> (select sum(on_hand_delta) from movements m where m.variant_id = s.variant_id)
                  or s.reserved <> (select sum(reserved_delta) from movements m where m.variant_id = s.variant_id)"#
        );
        let wrong = wrong.fetch_all(self.database.pool()).await.unwrap();
        assert!(wrong.is_empty(), "the books of {wrong:?} do not balance");
    }
}

/// Makes a call again that was not answered in time, as orders do: the machine may be busy. Nothing else is forgiven.
async fn repeating<T>(mut call: impl AsyncFnMut() -> Result<Response<T>, Status>) -> Result<T, Status> {
    for _ in 0..30 {
        match call().await {
            Err(status) if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) => {}
            answer => return answer.map(Response::into_inner),
        }
    }
    Err(Status::deadline_exceeded("not answered in any of thirty tries"))
}

/// Whether an order got its stock.
pub(crate) fn is_reserved(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reserved(_))
}
