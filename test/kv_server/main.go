// A KV v2 server for the tests: the core of Vault with everything in memory. It prints one line of JSON that says
// where it listens and how it is opened, and ends when its standard input does.
package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"

	log "github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// said is the line that the tests read.
type said struct {
	Address   string `json:"address"`
	Standby   string `json:"standby,omitempty"`
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

func main() {
	unix := flag.String("unix", "", "listen on this Unix socket in place of a port of the loopback interface")
	cert := flag.String("cert", "", "certificate for TLS")
	key := flag.String("key", "", "key for TLS")
	standby := flag.Bool("standby", false, "start a second node of the same cluster, which stands by")
	flag.Parse()
	line, err := start(*unix, *cert, *key, *standby)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func start(unix, cert, key string, withStandby bool) (*said, error) {
	logger := log.NewNullLogger()
	storage, err := inmem.NewInmem(nil, logger)
	if withStandby {
		storage, err = inmem.NewInmemHA(nil, logger)
	}
	if err != nil {
		return nil, err
	}
	listener, address, err := listen(unix, cert, key)
	if err != nil {
		return nil, err
	}
	active, err := node(storage, address, logger)
	if err != nil {
		return nil, err
	}
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := active.Initialize(context.Background(), &vault.InitParams{BarrierConfig: seal, RecoveryConfig: seal})
	if err != nil {
		return nil, err
	}
	line := &said{Address: address, RootToken: made.RootToken, UnsealKey: hex.EncodeToString(made.SecretShares[0])}
	if err := open(active, made.SecretShares[0], listener); err != nil {
		return nil, err
	}
	if !withStandby {
		return line, nil
	}
	listener, line.Standby, err = listen("", cert, key)
	if err != nil {
		return nil, err
	}
	second, err := node(storage, line.Standby, logger)
	if err != nil {
		return nil, err
	}
	return line, open(second, made.SecretShares[0], listener)
}

func listen(unix, cert, key string) (net.Listener, string, error) {
	if unix != "" {
		listener, err := net.Listen("unix", unix)
		return listener, "unix:" + unix, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || cert == "" {
		return listener, fmt.Sprintf("http://%v", address(listener)), err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	return tls.NewListener(listener, config), fmt.Sprintf("https://%v", address(listener)), err
}

func address(listener net.Listener) net.Addr {
	if listener == nil {
		return nil
	}
	return listener.Addr()
}

func node(storage physical.Backend, address string, logger log.Logger) (*vault.Core, error) {
	ha, _ := storage.(physical.HABackend)
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		HAPhysical:         ha,
		RedirectAddr:       address,
		DisableMlock:       true,
		Logger:             logger,
		BuiltinRegistry:    noPlugins{},
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
	})
}

// noPlugins says that beside what is compiled in there is nothing.
type noPlugins struct{}

func (noPlugins) Contains(string, consts.PluginType) bool { return false }

func (noPlugins) Get(string, consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}

func (noPlugins) Keys(consts.PluginType) []string { return nil }

func (noPlugins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}

func (noPlugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func open(core *vault.Core, key []byte, listener net.Listener) error {
	if _, err := core.Unseal(vault.TestKeyCopy(key)); err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core})
	// What a client does wrong is for its test to tell.
	server := &http.Server{Handler: handler, ErrorLog: stdlog.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	return nil
}
