package server

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// NotifyVariable is the environment variable with the socket of a service manager that expects status messages.
const NotifyVariable = "NOTIFY_SOCKET"

// notifyTime bounds one message. A datagram is accepted at once, unless the manager's queue is full.
const notifyTime = time.Second

// notifier sends the server's status to the service manager that started it (systemd with Type=notify). Without a
// service manager it does nothing. Source: sd_notify(3).
type notifier struct {
	socket string
	log    *slog.Logger
}

func newNotifier(log *slog.Logger) notifier { return notifier{os.Getenv(NotifyVariable), log} }

// tell sends one message of lines such as READY=1. It only logs an error.
func (n notifier) tell(message string) {
	if n.socket == "" {
		return
	}
	if err := n.send(message); err != nil {
		n.log.Warn("message to the service manager not sent", "socket", n.socket, "message", message, "error", err)
	}
}

func (n notifier) send(message string) error {
	// A leading @ marks an abstract socket name of Linux. Go uses the same notation.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(notifyTime)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// ready reports that the server answers requests.
func (n notifier) ready(status string) { n.tell("READY=1\nSTATUS=" + status) }

// reloading reports that the server reads its configuration again.
func (n notifier) reloading() { n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic())) }

// stopping reports that the server is stopping.
func (n notifier) stopping(status string) { n.tell("STOPPING=1\nSTATUS=" + status) }
