package terminal_test

import (
	"bytes"
	"testing"

	"github.com/skypanel/sky/internal/terminal"
	"github.com/stretchr/testify/require"
)

func TestPiecesComeBack(t *testing.T) {
	for _, sent := range []terminal.Piece{
		{Kind: terminal.Keep, Data: []byte{}},
		{Kind: terminal.Stdin, Data: []byte("\x00\xff\n")},
		{Kind: terminal.Stdout, Data: bytes.Repeat([]byte{7}, terminal.MaxData)},
	} {
		carried, err := terminal.Encode(sent)
		require.NoError(t, err)
		got, err := terminal.Decode(carried)
		require.NoError(t, err)
		require.Equal(t, sent, got)
	}
}

func TestPiecesAreBounded(t *testing.T) {
	_, err := terminal.Encode(terminal.Piece{Kind: terminal.Stdin, Data: make([]byte, terminal.MaxData+1)})
	require.ErrorIs(t, err, terminal.ErrTooLong)
	_, err = terminal.Decode(make([]byte, terminal.MaxPiece+1))
	require.ErrorIs(t, err, terminal.ErrTooLong)
	_, err = terminal.Decode(nil)
	require.Error(t, err)
}

func TestValuesInPieces(t *testing.T) {
	piece, err := terminal.Telling(terminal.Resize, terminal.Size{Rows: 33, Columns: 101})
	require.NoError(t, err)
	require.JSONEq(t, `{"rows": 33, "cols": 101}`, string(piece.Data))
	size, err := terminal.Read[terminal.Size](piece)
	require.NoError(t, err)
	require.Equal(t, terminal.Size{Rows: 33, Columns: 101}, size)
	_, err = terminal.Read[terminal.Outcome](terminal.Piece{Kind: terminal.Exit, Data: []byte("{")})
	require.Error(t, err)
}

func TestOnlyAPersonsKindsAreTheirs(t *testing.T) {
	for kind := terminal.Keep; kind < 255; kind++ {
		mine := kind == terminal.Stdin || kind == terminal.StdinEnd || kind == terminal.Resize || kind == terminal.Signal
		require.Equal(t, mine, kind.FromPerson(), kind)
	}
}

func TestSplit(t *testing.T) {
	var sizes []int
	require.NoError(t, terminal.Split(make([]byte, 2*terminal.MaxData+1), func(part []byte) error {
		sizes = append(sizes, len(part))
		return nil
	}))
	require.Equal(t, []int{terminal.MaxData, terminal.MaxData, 1}, sizes)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, carried []byte) {
		piece, err := terminal.Decode(carried)
		if err != nil {
			return
		}
		again, err := terminal.Encode(piece)
		require.NoError(t, err)
		require.Equal(t, carried, again)
	})
}
