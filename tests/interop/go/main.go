// Reads a log as Go's checksum-database code does: golang.org/x/mod/sumdb/{note,tlog}, which this
// project did not write, checks the signature, the tree and every proof; only the paths are C2SP's.
//
//	main URL VKEY [NOTE...]
//
// NOTE is a file with an older checkpoint of the log: the new tree must extend each. Prints one line
// of JSON; exits 1 with the reason when anything does not hold.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of a tile: 256 hashes

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return data, err
}

// open verifies a checkpoint and takes it apart: origin, size, root, one a line.
func open(message []byte, verifier note.Verifier) (tlog.Tree, error) {
	var tree tlog.Tree
	opened, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tree, fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// reader fetches tiles; each once.
type reader struct {
	url   string
	mutex sync.Mutex
	tiles map[string][]byte
	saved int
}

func (r *reader) Height() int { return height }

// c2sp turns tile/8/L/NNN[.p/W], or tile/8/data/NNN[.p/W], into the path of C2SP tlog-tiles.
func c2sp(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	return "/tile/" + strings.Replace(path, "data/", "entries/", 1)
}

func (r *reader) fetch(tile tlog.Tile) ([]byte, error) {
	path := c2sp(tile)
	r.mutex.Lock()
	data, found := r.tiles[path]
	r.mutex.Unlock()
	if found {
		return data, nil
	}
	data, err := get(r.url + path)
	if err == nil {
		r.mutex.Lock()
		r.tiles[path] = data
		r.mutex.Unlock()
	}
	return data, err
}

func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := r.fetch(tile)
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

// SaveTiles is told of the tiles that x/mod has checked against the tree.
func (r *reader) SaveTiles(tiles []tlog.Tile, data [][]byte) { r.saved += len(tiles) }

// entries of one bundle.
func (r *reader) entries(index int64, width int) ([][]byte, error) {
	data, err := r.fetch(tlog.Tile{H: height, L: -1, N: index, W: width})
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d ends inside an entry", index)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("bundle %d has %d entries, not %d", index, len(entries), width)
	}
	return entries, nil
}

// readAll compares every entry with its leaf hash in the checked level-0 tiles.
func readAll(r *reader, tree tlog.Tree, hashes tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += 256 {
		width := 256
		if tree.N-first < 256 {
			width = int(tree.N - first)
		}
		entries, err := r.entries(first/256, width)
		if err != nil {
			return err
		}
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(i)))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != leaves[i] {
				return fmt.Errorf("entry %d is not what its leaf hash says", first+int64(i))
			}
		}
	}
	return nil
}

// prove makes and checks the inclusion proof of one entry.
func prove(r *reader, tree tlog.Tree, hashes tlog.HashReader, index int64) error {
	width := 256
	if last := tree.N - index/256*256; last < 256 {
		width = int(last)
	}
	entries, err := r.entries(index/256, width)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	leaf := tlog.RecordHash(entries[index%256])
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
		return err
	}
	leaf[0] ^= 1
	if tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf) == nil {
		return fmt.Errorf("the proof of entry %d proves anything", index)
	}
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: main URL VKEY [NOTE...]")
		os.Exit(2)
	}
	verifier, err := note.NewVerifier(os.Args[2])
	check(err, "vkey")
	r := &reader{url: os.Args[1], tiles: make(map[string][]byte)}
	message, err := get(r.url + "/checkpoint")
	check(err, "checkpoint")
	tree, err := open(message, verifier)
	check(err, "checkpoint")

	hashes := tlog.TileHashReader(tree, r)
	root, err := tlog.TreeHash(tree.N, hashes)
	check(err, "tree hash")
	if root != tree.Hash {
		check(fmt.Errorf("%v, signed is %v", root, tree.Hash), "tree hash")
	}
	check(readAll(r, tree, hashes), "entries")

	proved := 0
	for _, index := range []int64{0, 1, 127, 254, 255, 256, 257, 511, 512, 599, 65535, 65536,
		tree.N / 2, tree.N - 1} {
		if index < tree.N {
			check(prove(r, tree, hashes, index), fmt.Sprintf("inclusion of %d", index))
			proved++
		}
	}
	for _, file := range os.Args[3:] {
		data, err := os.ReadFile(file)
		check(err, "older checkpoint")
		old, err := open(data, verifier)
		check(err, file)
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err, file)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash), file)
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"size": tree.N, "root": tree.Hash.String(), "inclusion": proved,
		"consistency": len(os.Args) - 3, "tiles": r.saved,
	}), "output")
}
