package redisbroker

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"sluice/router/brokertest"
	"sluice/router/redisbroker/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	flag.Parse()
	// Tests in parallel wait for servers more than they compute.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(2)
		}
	}
	brokertest.Patience = redistest.Patience
	goleak.VerifyTestMain(m)
}
