// The relay's shim: hands tips to the vendor's script on this page, each at most once, and the vendor's words to the relay.
(() => {
	const tag = document.currentScript;
	if (window.relay?.shim) return window.relay.load(tag.dataset);

	/** All we know of Lovense's Cam Kit. @type {import("./shim").Vendor} */
	const camkit = {
		find: (known) => [window.lovense, window.Lovense].find((g) => g && (g === known || typeof g.receiveTip === "function")),
		listen: (g, fn) => g.addMessageListener(fn),
		play: (g, tip) => g.receiveTip(String(tip.tipper), Number(tip.amount)),
		getToys: (g) => g.getToys(),
		getSettings: (g) => g.getSettings(),
		init: (g, script) => g.initCamApi(new URL(script).searchParams.get("mToken")),
		destroy: (g) => g.destroyCamApi(),
		script: () => document.querySelector('script[src*="/model.js"]:not([data-failed])'),
	};

	const base = tag.src.replace(/(\/shim\/[^/]+)?\/shim\.js([?#].*)?$/, "");
	const listeners = new Set();
	const memory = new Map(); // what this page wrote, should the storage lose it
	const calling = new Set(); // tips whose vendor call has not ended
	const met = new WeakSet(); // vendor objects that have our listener
	const events = []; // heard while the socket was away
	let my = { tries: 0 }; // this page's turn at one model
	let turn = Promise.resolve(); // its lock is free again
	let parked; // what goes on when the page comes back from history
	let served, loaded, mine, vendor, ended, told, last, echo, appends, poll, polls;
	let why = "loading";
	let failures = 0;
	let retry = [0, 0];
	let n = 0;

	const attempt = (fn, otherwise) => {
		try {
			return fn();
		} catch (error) {
			return otherwise?.(error);
		}
	};
	const emit = (type, detail) => {
		for (const [wanted, fn] of [...listeners]) {
			if (wanted === type || wanted === "*") attempt(() => fn(detail, type), reportError);
		}
	};
	const text = (error) => attempt(() => String(error?.message ?? error).slice(0, 200));
	const fail = (code) => (error) => emit("error", { code, detail: text(error) });
	const state = (name) => {
		if (api.state === name) return;
		api.state = name;
		emit("state", name);
	};
	const awake = () => /live|ing/.test(api.state);
	// One clock stands still while a laptop sleeps, the other can be set: the later counts.
	const clocks = () => [Date.now(), performance.now()];
	const since = (mark) => Math.max(...clocks().map((now, i) => now - mark[i]));

	// The journal has a key for each tip, so that tabs cannot overwrite each other.
	const stored = (key) => attempt(() => localStorage.getItem(key));
	const store = (key, value) => attempt(() => localStorage.setItem(key, value) ?? true);
	const prune = (keep) =>
		attempt(() => {
			const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${my.name}tip:`));
			const aged = keys.map((key) => [stored(key), key]).sort().reverse();
			for (const [i, [value, key]] of aged.entries()) {
				// What the relay may still ask about is among the newest.
				if (i >= 5000 || (i >= keep && Number.parseInt(value) < Date.now() - 36e5)) localStorage.removeItem(key);
			}
		});
	const put = (key, value) => {
		memory.set(key, value);
		if (memory.size > 5000) memory.delete(memory.keys().next().value);
		if (Math.random() < 0.01) prune(1000);
		if (store(key, value) || my.alone) return;
		prune(200);
		if (store(key, value)) return;
		// A page that does not know this entry must not answer for this journal.
		my.alone = true;
		attempt(() => localStorage.removeItem(`${my.name}journal`));
		fail("storage_full")();
	};
	const recall = (key) => {
		const value = memory.get(key) ?? stored(key);
		return value && (/played|failed/.exec(value)?.[0] ?? "interrupted");
	};
	// "unseen" has the relay send a tip again: said only if the journal would surely know.
	const sure = () => my.alone || stored(`${my.name}journal`) === my.journal;
	const answer = (ids) => {
		const tips = {};
		for (const id of ids ?? []) {
			const key = `${my.name}tip:${id}`;
			if (!calling.has(key)) tips[id] = recall(key) ?? (sure() ? "unseen" : "interrupted");
		}
		if (ids?.length) send({ type: "answer", tips });
	};

	const transmit = (json) => {
		if (my.socket?.readyState !== 1) return false;
		my.socket.send(json);
		return true;
	};
	const send = (frame) => transmit(JSON.stringify(frame));

	const kind = (event) => attempt(() => event.type.substring(0, 99));
	const up = (event) => {
		const refuse = (error, size) => JSON.stringify({ type: kind(event), error: text(error), size });
		const json = attempt(() => {
			const json = JSON.stringify(event) ?? "null";
			const { size } = new Blob([json]);
			return size > 59_900 ? refuse("too large", size) : json;
		}, refuse);
		const frame = `{"type":"event","n":${++n},"event":${json}}`;
		if (!transmit(frame) && awake()) events.push(frame);
		events.splice(0, events.length - 50);
		emit(kind(event), event);
	};
	const hear = (event) => {
		clearTimeout(echo);
		echo = undefined;
		if (ended) return; // of the model before
		if (event === last && typeof event === "object") appends = true;
		else up(event);
		last = event;
		queueMicrotask(() => {
			last = undefined;
		});
	};
	const listen = () => attempt(() => camkit.listen(vendor, hear), fail("vendor"));
	const survey = () => {
		const me = my;
		for (const type of ["getToys", "getSettings"]) {
			const tell = (more) => me === my && up({ type, ...more });
			new Promise((done) => done(camkit[type](vendor))).then(
				(detail) => tell({ detail: detail ?? null }),
				(error) => tell({ error: text(error) }),
			);
		}
	};

	const status = () => {
		if (api.stopped) return { ready: false, why: "stopped" };
		return vendor && !ended ? { ready: true } : { ready: false, why };
	};
	const end = () => {
		ended = true;
		if (vendor) attempt(() => camkit.destroy(vendor), fail("vendor"));
	};
	const failed = ({ target }) => {
		target.dataset.failed = "";
		why = "script failed to load";
		retry = clocks().map((now) => now + Math.min(6e4, 1000 * 2 ** failures++));
	};
	const watch = () => {
		const found = attempt(() => camkit.find(vendor));
		if (found !== vendor) {
			vendor = found;
			if (ended) end(); // it has just begun for a model that left, or was stopped
		}
		if (vendor && !met.has(vendor)) {
			met.add(vendor);
			listen();
		}
		if (!my.socket) return;
		if (!api.stopped && !vendor) {
			let script = camkit.script();
			if (!script && my.script && since(retry) > 0) {
				script = document.createElement("script");
				script.src = my.script;
				document.head.append(script);
			}
			script?.addEventListener("error", failed);
		}
		if (!api.stopped && vendor && ended && my.script) {
			ended = false;
			attempt(
				() => camkit.init(vendor, my.script),
				(error) => {
					ended = true;
					my.script = undefined;
					why = "initCamApi failed";
					fail("vendor")(error);
				},
			);
		}
		const now = JSON.stringify(status());
		if (now === told || !send({ type: "vendor", ...status() })) return;
		told = now;
		if (status().ready) survey();
	};
	const halt = () => {
		const news = !api.stopped;
		api.stopped = true;
		end();
		watch();
		if (news) emit("stop");
	};
	const release = () => {
		mine = api.held = api.stopped = false;
		watch();
		emit("release");
	};

	const play = (tip) => {
		const { id, tipper, amount, run } = tip;
		const key = `${my.name}tip:${id}`;
		const me = my;
		const ack = (outcome, more) => {
			if (me === my) send({ type: "ack", id, outcome, run, ...more });
			emit("tip", { id, tipper, amount, outcome });
		};
		const refuse = () => {
			if (!(run <= my.run)) my.run = run; // the tips behind must not overtake this one
			ack("not_ready");
		};
		const finish = (outcome, more) => {
			calling.delete(key);
			put(key, `${Date.now()} ${outcome}`);
			ack(outcome, more);
		};
		const threw = (error) => finish("failed", { error: text(error) });
		if (calling.has(key)) return;
		const was = recall(key);
		if (was) return ack("duplicate", { was });
		if (api.held || api.stopped || run <= my.run) return refuse();
		if (stored(`${my.name}generation`) > my.generation) return quit("superseded");
		if (since(my.zero) > (tip.at + tip.ttl) * 1000) return ack("stale");
		if (!status().ready) return refuse();
		put(key, `${Date.now()} calling`);
		calling.add(key);
		attempt(() => {
			const result = camkit.play(vendor, tip);
			if (!appends) echo ??= setTimeout(listen, 1e4); // another script may have replaced our listener
			if (typeof result?.then !== "function") return finish("played");
			Promise.race([result, new Promise((done) => setTimeout(done, 5000))]).then(() => finish("played"), threw);
		}, threw);
	};

	const frames = {
		__proto__: null,
		welcome(frame) {
			const ws = my.next;
			shut(my.socket); // in a drain the old one acted until now
			my.socket = ws;
			my.next = my.run = undefined;
			my.resume = frame.resume;
			my.generation = frame.generation;
			my.script = frame.vendor?.script;
			ws.limit = 2500 * (frame.heartbeat ?? 20);
			// The time of the server's zero on our clocks. A welcome that took longer than 2 s waited in a sleeping page.
			my.zero = clocks().map((now, i) => Math.min(now, ws.asked[i] + 2000) - frame.at * 1000);
			put(`${my.name}generation`, `${frame.generation}`);
			answer(frame.ask);
			if (mine && !frame.stopped) send({ type: "stop" });
			if (mine || frame.stopped) halt();
			else if (api.stopped) release();
			api.held = !!frame.held;
			for (const event of events.splice(0)) transmit(event);
			if (status().ready) survey();
			watch();
			state("live");
			if (frame.uncertain) emit("uncertain", frame.uncertain);
		},
		ask: (frame) => answer(frame.tips),
		tip: play,
		uncertain: (frame) => emit("uncertain", frame.tips),
		ping({ n }) {
			send({ type: "pong", n, hidden: document.hidden });
			const [date, steady] = clocks().map((now, i) => now - my.zero[i]);
			if (Math.abs(date - steady) > 2000 && !my.next) dial(); // slept, or set
		},
		hold() {
			api.held = true;
			emit("hold");
		},
		release,
		stop: halt,
		drain: (frame) => later(dial, Math.random() * frame.in * 1000),
	};
	const receive = (ws, data) => {
		ws.heard = clocks(); // any frame is life, even an unreadable one
		attempt(watch);
		const frame = attempt(() => JSON.parse(data)) ?? {};
		const act = frames[frame.type];
		if (!act || (act === frames.welcome) !== (ws === my.next)) {
			api.stats.unknown++;
			return;
		}
		if (ws === my.socket) my.tries = 0;
		act(frame);
	};

	const later = (go, ms = Math.random() * Math.min(3e4, 500 * 2 ** my.tries++)) => {
		clearTimeout(my.timer);
		my.timer = setTimeout(go, ms);
	};
	const shut = (ws) => {
		if (!ws) return;
		ws.onmessage = ws.onclose = null;
		ws.close(1000);
	};
	const dial = () => {
		clearTimeout(my.timer);
		shut(my.next);
		my.hungry = false;
		const ws = new WebSocket(`${base.replace("http", "ws")}/page`, "relay.v1");
		my.next = ws;
		ws.limit = 15_000;
		ws.heard = clocks();
		ws.onopen = () => {
			ws.asked = clocks();
			attempt(watch);
			const { journal, resume, ticket, alone } = my;
			told = JSON.stringify(status());
			ws.send(
				JSON.stringify({
					type: "hello",
					...(resume ? { resume } : { ticket }),
					journal,
					storage: !alone && sure() ? "local" : "memory",
					shim: api.shim,
					vendor: { kit: "camkit", ...status() },
				}),
			);
		};
		ws.onmessage = ({ data }) => attempt(() => receive(ws, data), fail("shim"));
		ws.onclose = (event) => closed(ws, event);
	};
	// A close code's hundreds say how to come back.
	const closed = (ws, { code = 0, reason }) => {
		const acted = ws === my.socket;
		shut(ws);
		my[acted ? "socket" : "next"] = undefined;
		if (acted && my.next) return state("connecting"); // the successor is on its way
		const range = Math.floor(code / 100);
		if (range === 40) {
			const name = code === 4001 ? "superseded" : "refused";
			fail(name)(`${code} ${reason}`);
			return quit(name);
		}
		if (acted) state("connecting");
		const now = (range === 41 || range === 43) && !my.tries++;
		later(range === 41 ? renew : dial, now ? 0 : undefined);
	};
	const renew = async () => {
		const me = my;
		my.resume = undefined;
		my.hungry = true;
		if (!my.ticketUrl) return emit("ticket");
		try {
			const options = { credentials: "include", cache: "no-store", signal: AbortSignal.timeout(15_000) };
			const reply = await fetch(my.ticketUrl, options);
			const body = await reply.text();
			if (!reply.ok) throw reply.status;
			const ticket = attempt(() => JSON.parse(body).ticket) ?? body.trim();
			if (me === my && my.hungry) api.connect({ ticket, ticketUrl: my.ticketUrl });
		} catch (error) {
			fail("ticket_url")(error);
			if (me === my && my.hungry) later(renew);
		}
	};

	const quit = (name) => {
		clearTimeout(my.timer);
		shut(my.socket);
		shut(my.next);
		my.socket = my.next = my.hungry = undefined;
		if (name) state(name);
	};
	const leave = () => {
		quit();
		my.leaving?.abort();
		my.free?.();
		my = { tries: 0 };
	};
	const begin = () => {
		const key = `${my.name}journal`;
		const random = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0"));
		const fresh = `j_${random.join("")}`;
		my.journal = stored(key) ?? (store(key, fresh) && fresh);
		if (!my.journal) {
			my.alone = true;
			my.journal = memory.get(key) ?? fresh;
			memory.set(key, my.journal);
		}
		events.length = 0;
		prune(1000);
		dial();
	};
	const start = ({ model, ticket, ticketUrl, resume }, steal) => {
		leave();
		if (model !== served) {
			if (served) end();
			mine = api.held = api.stopped = false;
			served = model;
		}
		const name = `relay ${JSON.stringify([base, model])} `;
		const me = { name, model, ticket, ticketUrl, resume, tries: 0, leaving: new AbortController() };
		my = me;
		state("connecting");
		world("addEventListener");
		clearTimeout(poll);
		polls = 0;
		tick();
		const ask = (options) =>
			navigator.locks
				.request(name, options, (lock) => {
					if (me !== my) return;
					if (lock) {
						begin();
						return new Promise((free) => {
							me.free = free;
						});
					}
					state("waiting");
					return ask({ signal: me.leaving.signal });
				})
				.catch(() => {
					if (me !== my) return;
					if (me.free) quit("superseded");
					else begin();
				});
		if (!navigator.locks) begin();
		else turn = turn.then(() => me === my && ask(steal ? { steal } : { ifAvailable: true }));
	};

	const check = () => {
		attempt(watch);
		for (const ws of [my.socket, my.next]) {
			if (ws && since(ws.heard) > ws.limit) closed(ws, {});
		}
	};
	const tick = () => {
		poll = setTimeout(tick, polls++ < 300 ? 100 : 1000);
		check();
	};
	const wake = ({ type, persisted }) => {
		if (type === "pagehide" && awake()) {
			parked = my;
			leave();
		} else if (type === "pageshow" && persisted && awake()) start(parked);
		else if (type === "online" && api.state === "connecting" && my.journal && !my.hungry) dial();
		else check();
	};
	const world = (method) => {
		for (const type of ["online", "pagehide", "pageshow", "visibilitychange"]) window[method](type, wake);
	};

	const api = {
		shim: "1.0.0",
		state: "idle",
		held: false,
		stopped: false,
		stats: { unknown: 0 },
		on(type, fn) {
			const pair = [type, fn];
			listeners.add(pair);
			return () => listeners.delete(pair);
		},
		load({ ticket, ticketUrl }) {
			if (!ticket || ticket === loaded) return;
			loaded = ticket;
			api.connect({ ticket, ticketUrl });
		},
		connect({ ticket, ticketUrl = my.ticketUrl }) {
			const payload = attempt(() => atob(ticket.split(".")[0].replaceAll("-", "+").replaceAll("_", "/")));
			const model = attempt(() => JSON.parse(payload).m);
			if (!model) {
				fail("ticket_unreadable")();
				my.ticketUrl = ticketUrl;
				if (/idle|connecting|refused|destroyed/.test(api.state)) later(renew);
			} else if (model === my.model && api.state !== "refused") {
				Object.assign(my, { ticket, ticketUrl });
				if (my.hungry) dial();
			} else start({ model, ticket, ticketUrl });
		},
		takeover() {
			if (/waiting|superseded/.test(api.state)) start(my, true);
		},
		stop() {
			mine = true;
			halt();
			send({ type: "stop" });
			api.takeover();
		},
		resume() {
			mine = false;
			return send({ type: "release" });
		},
		resolve: (id, as) => send({ type: "resolve", id, as }),
		destroy() {
			leave();
			end();
			world("removeEventListener");
			clearTimeout(poll);
			state("destroyed");
		},
	};
	window.relay = api;
	api.load(tag.dataset);
})();
