package engine

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dappco.re/go/core/process/internal/capi"
)

// newBatch returns the events of a process that has ended.
func newBatch(t *testing.T) *capi.Batch {
	t.Helper()
	service, err := capi.NewService(capi.ServiceOptions{})
	require.NoError(t, err)
	t.Cleanup(service.Close)
	events, err := service.Subscribe(capi.SubscriptionOptions{EndsOnly: true, Delivery: capi.DeliveryNone})
	require.NoError(t, err)
	t.Cleanup(events.Close)
	command := capi.NewCommand("/bin/true")
	defer command.Close()
	process, _, err := command.Spawn(service)
	require.NoError(t, err)
	t.Cleanup(process.Close)
	batch, err := events.Next()
	require.NoError(t, err)
	t.Cleanup(batch.Close)
	require.Positive(t, batch.Left())
	return batch
}

// receiverOf returns the receiver of a batch; "" if there is none.
func receiverOf(table *table[string], batch *capi.Batch) string {
	to, _ := table.route(batch)
	return to
}

func TestTable_keeps_a_batch_while_a_start_is_under_way(t *testing.T) {
	table := newTable[string]()
	batch := newBatch(t)
	table.Begin()
	table.Begin()
	assert.Empty(t, receiverOf(&table, batch))

	// Another start has ended, not the one of the batch.
	table.End()
	assert.Positive(t, batch.Left())

	early, err := table.Add(batch.ProcessID(), "receiver")
	table.End()
	assert.NoError(t, err)
	assert.Equal(t, []*capi.Batch{batch}, early)
	assert.Positive(t, batch.Left())
	assert.Equal(t, "receiver", receiverOf(&table, batch))
}

func TestTable_closes_a_batch_that_nobody_can_receive(t *testing.T) {
	failed, unknown, lost := newBatch(t), newBatch(t), newBatch(t)
	table := newTable[string]()
	table.Begin()
	assert.Empty(t, receiverOf(&table, failed))
	table.End()
	assert.Zero(t, failed.Left())

	assert.Empty(t, receiverOf(&table, unknown))
	assert.Zero(t, unknown.Left())

	table.Begin()
	assert.Empty(t, receiverOf(&table, lost))
	table.fail(errors.New("no more"))
	assert.Zero(t, lost.Left())
}

func TestTable_lets_one_end_alone_come_to_pass(t *testing.T) {
	table := newTable[string]()
	for id, receiver := range map[uint64]string{1: "ended", 2: "left"} {
		_, err := table.Add(id, receiver)
		require.NoError(t, err)
	}
	assert.True(t, table.Remove(1))
	assert.False(t, table.Remove(1))

	cause := errors.New("no more")
	assert.NoError(t, table.Err())
	assert.Equal(t, []string{"left"}, table.fail(cause))
	assert.False(t, table.Remove(2))
	assert.Equal(t, cause, table.Err())

	// A receiver that comes late gets the cause.
	_, err := table.Add(3, "late")
	assert.Equal(t, cause, err)
	assert.Empty(t, table.fail(cause))
}
